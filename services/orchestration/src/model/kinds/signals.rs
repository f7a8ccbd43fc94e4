//! Types by which something tells a stack how it went.

use crate::model::kind::{How, Kind};
use crate::model::property::{Prop, Rule, float, integer, text};

/// The ways of a signal. What needs a messaging service is refused by name.
pub(super) const TRANSPORTS: Rule = Rule::Allowed(&[
    "CFN_SIGNAL",
    "TEMP_URL_SIGNAL",
    "HEAT_SIGNAL",
    "NO_SIGNAL",
    "ZAQAR_SIGNAL",
    "TOKEN_SIGNAL",
]);

const HANDLE: &[Prop] = &[text(
    "signal_transport",
    "How the client will signal the wait condition: by a POST (TOKEN_SIGNAL, HEAT_SIGNAL) or a PUT (CFN_SIGNAL, TEMP_URL_SIGNAL) to a URL with a secret in it. With NO_SIGNAL nothing is waited for.",
)
.default("\"TOKEN_SIGNAL\"")
.rule(TRANSPORTS)];

const fn handle() -> Prop {
    text(
        "handle",
        "A reference to the handle used to signal this wait condition.",
    )
    .required()
}
const fn timeout() -> Prop {
    float(
        "timeout",
        "The number of seconds to wait for the correct number of signals to arrive.",
    )
    .required()
    .rule(Rule::Range(1, 43_200))
}
const fn count() -> Prop {
    integer(
        "count",
        "The number of success signals that must be received before the stack creation process continues.",
    )
    .default("1")
}
const CONDITION: &[Prop] = &[
    handle(),
    timeout(),
    count().in_place().rule(Rule::Range(1, 10_000)),
];
const SWIFT: &[Prop] = &[handle(), timeout(), count().rule(Rule::Range(1, 1000))];

const CURL: (&str, &str) = (
    "curl_cli",
    "Convenience attribute, provides curl CLI command prefix, which can be used for signalling handle completion or failure.",
);
const ENDPOINT: (&str, &str) = (
    "endpoint",
    "Endpoint/url which can be used for signalling handle.",
);
const SIGNAL: (&str, &str) = (
    "signal",
    "JSON serialized map that includes the endpoint and the method by which it is signalled.",
);
const DATA: &[(&str, &str)] = &[(
    "data",
    "JSON string containing data associated with wait condition signals sent to the handle.",
)];

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Heat::WaitConditionHandle",
        doc: "Resource for managing instance signals.",
        props: HANDLE,
        attrs: &[CURL, ENDPOINT, SIGNAL],
        how: How::WaitHandle,
    },
    Kind {
        name: "OS::Heat::UpdateWaitConditionHandle",
        doc: "A wait condition handle that each update makes anew: signals have to come again, to another URL.",
        props: &[],
        attrs: &[CURL, ENDPOINT, SIGNAL],
        how: How::WaitHandle,
    },
    Kind {
        name: "OS::Heat::WaitCondition",
        doc: "Resource for handling signals received by WaitConditionHandle.",
        props: CONDITION,
        attrs: DATA,
        how: How::WaitCondition,
    },
    Kind {
        name: "OS::Heat::SwiftSignalHandle",
        doc: "Resource for managing signals that are put to a URL. They come to this service itself; nothing of them is in the object store.",
        props: &[],
        attrs: &[
            CURL,
            ENDPOINT,
            ("token", "No token is needed: it is empty."),
        ],
        how: How::WaitHandle,
    },
    Kind {
        name: "OS::Heat::SwiftSignal",
        doc: "Resource for handling signals received by SwiftSignalHandle.",
        props: SWIFT,
        attrs: DATA,
        how: How::WaitCondition,
    },
];
