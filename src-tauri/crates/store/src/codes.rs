//! The numbers that stand for closed sets on disk. They are part of the file format: a
//! number is never reused and never changes, whatever the order of the enum.

use meter::receipt::{
    AttemptEnd, Billing, Capability, CostState, Kind, Status, Technology, UsageState,
};
use meter::usage::{Basis, Bound, Unit};

use crate::pack::UnpackError;

/// A closed set with a number for each member. Zero is nobody's: it means absent.
pub(crate) trait Coded: Sized {
    fn code(self) -> u8;
    fn from_code(code: u8) -> Result<Self, UnpackError>;
}

macro_rules! codes {
    ($($set:ident { $($member:ident = $code:literal,)* })*) => {
        $(impl Coded for $set {
            fn code(self) -> u8 {
                match self { $(Self::$member => $code,)* }
            }

            fn from_code(code: u8) -> Result<Self, UnpackError> {
                match code {
                    $($code => Ok(Self::$member),)*
                    _ => Err(UnpackError::Damaged),
                }
            }
        })*

        #[cfg(test)]
        fn table() -> String {
            let mut table = String::new();
            $(
                let numbers = [$($set::$member.code(),)*].map(|code| {
                    assert_eq!($set::from_code(code).map(Coded::code).ok(), Some(code));
                    code.to_string()
                });
                table += &format!("{} {}\n", stringify!($set), numbers.join(" "));
            )*
            table
        }
    };
}

codes! {
    Status {
        Succeeded = 1, Error = 2, Denied = 3, Cancelled = 4, Interrupted = 5, Pending = 6,
    }
    Kind {
        Chat = 1, Completion = 2, Embedding = 3, Image = 4, Speech = 5, Transcription = 6,
        Video = 7, Rerank = 8, Moderation = 9, Batch = 10, FineTuning = 11, Count = 12,
        Poll = 13, Meta = 14, Other = 15,
    }
    UsageState { Reported = 1, Partial = 2, Estimated = 3, Missing = 4, None = 5, }
    CostState {
        Priced = 1, ProviderReported = 2, Partial = 3, Unknown = 4, Free = 5, Disputed = 6,
        UsageMissing = 7,
    }
    Billing { Byok = 1, Subscription = 2, Local = 3, Demo = 4, }
    AttemptEnd {
        Completed = 1, Refused = 2, Unreachable = 3, TimedOut = 4, Broken = 5, Abandoned = 6,
    }
    Basis { Reported = 1, Derived = 2, Estimated = 3, }
    Bound { Exact = 1, Lower = 2, Upper = 3, }
    Unit {
        Token = 1, Image = 2, Second = 3, Character = 4, Call = 5, SearchUnit = 6, Page = 7,
        ClassifyUnit = 8, GuardrailUnit = 9, Request = 10,
    }
    Technology { Llm = 1, Vlm = 2, Embedding = 3, Image = 4, Audio = 5, Video = 6, }
    Capability {
        Tools = 1, StructuredOutputs = 2, Vision = 3, AudioInput = 4, AudioOutput = 5,
        Documents = 6, WebSearch = 7, CodeExecution = 8, Reasoning = 9, PromptCaching = 10,
        Background = 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_has_one_number_and_keeps_it() {
        let rows = [
            ("Status", 6),
            ("Kind", 15),
            ("UsageState", 5),
            ("CostState", 7),
            ("Billing", 4),
            ("AttemptEnd", 6),
            ("Basis", 3),
            ("Bound", 3),
            ("Unit", 10),
            ("Technology", 6),
            ("Capability", 11),
        ];
        let want: String = rows
            .map(|(set, last)| {
                let numbers: Vec<_> = (1..=last).map(|n: u8| n.to_string()).collect();
                format!("{set} {}\n", numbers.join(" "))
            })
            .concat();
        assert_eq!(table(), want);
        assert_eq!(Status::Pending.code(), 6);
        assert_eq!(Kind::Poll.code(), 13);
        assert!(Status::from_code(0).is_err());
    }
}
