//! What the types that write themselves as a text or a number look like in JSON, for those who
//! export types. The others derive it.

use specta::datatype::{DataType, Primitive};
use specta::{Type, Types};

use crate::receipt::{RawUsage, ReceiptId};
use crate::usage::{Count, Factor};

mod text {
    /// Exact decimal text; never to be put through a float.
    #[derive(specta::Type)]
    pub(super) struct Money(#[expect(dead_code, reason = "only its shape is wanted")] String);

    /// An ISO 4217 code.
    #[derive(specta::Type)]
    pub(super) struct Currency(#[expect(dead_code, reason = "only its shape is wanted")] String);

    /// RFC 3339, UTC, milliseconds.
    #[derive(specta::Type)]
    pub(super) struct Timestamp(#[expect(dead_code, reason = "only its shape is wanted")] String);
}

macro_rules! text {
    ($($of:ty as $shape:ty,)*) => {$(
        impl Type for $of {
            fn definition(types: &mut Types) -> DataType {
                <$shape>::definition(types)
            }
        }
    )*};
}

text! {
    crate::Money as text::Money,
    crate::Currency as text::Currency,
    crate::Timestamp as text::Timestamp,
    Factor as String,
    ReceiptId as String,
}

impl Type for Count {
    fn definition(_: &mut Types) -> DataType {
        DataType::Primitive(Primitive::u64)
    }
}

/// An object whose fields are the provider's.
impl Type for RawUsage {
    fn definition(types: &mut Types) -> DataType {
        std::collections::BTreeMap::<String, String>::definition(types)
    }
}
