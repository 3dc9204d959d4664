//! What the management contract shows of calls that are looked at: the gateway's inspector, asked
//! for passes that there are.

use std::sync::Arc;

use api::inspector::{
    InspectDesk, InspectedBody, InspectedCall, InspectedHead, InspectedHeader, Inspection,
};
use api::problem::{Code, Problem};
use gateway::inspect::{Call, Held, Inspector, View};

/// Answers for this inspector; `is_known` says whether there is such a pass.
pub(crate) fn desk(
    inspector: &Inspector,
    is_known: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> InspectDesk {
    let [opens, looks, shows, closes] = [(); 4].map(|()| inspector.clone());
    InspectDesk {
        open: Arc::new(move |pass| {
            if !is_known(pass) {
                let pass: String = pass.chars().take(100).collect();
                return Err(Problem::new(Code::NotFound, format!("there is no pass `{pass}`"))
                    .hint("See `tollgate passes list`."));
            }
            let opened = opens.open(pass).then(|| opens.look(pass, |view| inspection(pass, view)));
            opened.flatten().ok_or_else(|| {
                Problem::new(Code::Conflict, "four passes are looked at already")
                    .hint("Close one of them first.")
            })
        }),
        look: Arc::new(move |pass| looks.look(pass, |view| inspection(pass, view))),
        call: Arc::new(move |pass, id| {
            shows.look(pass, |view| view.calls.iter().find(|call| call.id == id).map(shown))?
        }),
        close: Arc::new(move |pass| closes.close(pass)),
    }
}

fn inspection(pass: &str, view: &View<'_>) -> Inspection {
    Inspection {
        pass: pass.to_owned(),
        seconds_left: u32::try_from(view.left.as_secs()).unwrap_or(u32::MAX),
        calls: view.calls.iter().map(head).collect(),
    }
}

fn head(call: &Call) -> InspectedHead {
    InspectedHead {
        id: call.id,
        started_at: call.started_at,
        method: call.method.to_string(),
        target: call.target.to_string(),
        http_status: call.status,
        error: call.error.as_deref().map(str::to_owned),
        is_over: call.is_over,
        request_bytes: call.request.total,
        answer_bytes: call.answer.total,
    }
}

fn shown(call: &Call) -> InspectedCall {
    let headers = |of: &[(Box<str>, Box<str>)]| {
        let header = |(name, value): &(Box<str>, Box<str>)| InspectedHeader {
            name: name.to_string(),
            value: value.to_string(),
        };
        of.iter().map(header).collect()
    };
    let body = |text, held: &Held| InspectedBody { text, is_cut: held.is_cut() };
    InspectedCall {
        head: head(call),
        request_headers: headers(&call.request_headers),
        request: body(call.request_text(), &call.request),
        answer_headers: headers(&call.answer_headers),
        answer: body(call.answer_text(), &call.answer),
    }
}
