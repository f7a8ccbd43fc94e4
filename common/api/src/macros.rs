//! `endpoint!` and `routes!`: the two macros an `api/` room is written in.

/// Declares one endpoint: a unit struct and its [`Endpoint`](crate::Endpoint).
///
/// The order of the rows is fixed; `versions`, `path`, `query` and `body` may be left out. The service's crate root
/// names its service type `Svc`.
#[macro_export]
#[expect(
    clippy::crate_in_macro_def,
    reason = "`Svc` is the calling service's own"
)]
macro_rules! endpoint {
    (
        #[doc = $doc:literal]
        $(#[doc = $more:literal])*
        $name:ident: $method:ident $path:literal $([$action:literal])? => $status:literal,
        $(versions: $since:literal $dots:tt $($until:literal)?,)?
        policy: $policy:ty,
        $(path: $path_ty:ty,)?
        $(query: $query:ty,)?
        $(body: $body:ty $(as $body_shape:expr)?,)?
        reply: $reply:ty $(as $reply_shape:expr)?,
        handler: $handler:path $(,)?
    ) => {
        #[doc = $doc]
        $(#[doc = $more])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl $crate::Endpoint for $name {
            type Service = crate::Svc;
            type Path = $crate::or!($(($path_ty))? (()));
            type Query = $crate::or!($(($query))? ($crate::Params));
            type Body = $crate::or!($(($body))? ($crate::Nothing));
            type Reply = $reply;
            const INFO: &'static $crate::EndpointInfo = &$crate::EndpointInfo {
                name: stringify!($name),
                doc: $doc,
                method: $crate::http::Method::$method,
                path: $path,
                action: $crate::some!($($action)?),
                status: $status,
                since: $crate::or_value!($(($crate::Version::literal(stringify!($since))))? ($crate::Version::ZERO)),
                until: $crate::until!($($($until)?)?),
                access: <$policy as $crate::AccessRow>::ACCESS,
                hosts: <$policy as $crate::AccessRow>::HOSTS,
                body_shape: $crate::some!($($($body_shape)?)?),
                reply_shape: $crate::some!($($reply_shape)?),
                streamed: <<Self as $crate::Endpoint>::Body as $crate::Body>::STREAMED,
                body_schema: <<Self as $crate::Endpoint>::Body as $crate::Body>::schema,
                reply_schema: <<Self as $crate::Endpoint>::Reply as $crate::ReplyBody>::schema,
                query_schema: <<Self as $crate::Endpoint>::Query as $crate::FromQuery>::schema,
            };

            fn handle(
                cx: $crate::Cx<Self::Service>,
                req: $crate::Req<Self>,
            ) -> impl Future<Output = Result<Self::Reply, $crate::Fault>> + Send {
                $handler(cx, req)
            }
        }
    };
}

/// The first of the given types.
#[doc(hidden)]
#[macro_export]
macro_rules! or {
    (($first:ty) $(($rest:ty))*) => {
        $first
    };
}

/// The first of the given values.
#[doc(hidden)]
#[macro_export]
macro_rules! or_value {
    (($first:expr) $(($rest:expr))*) => {
        $first
    };
}

/// `Some(x)` or `None`.
#[doc(hidden)]
#[macro_export]
macro_rules! some {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

/// The last version of a row.
#[doc(hidden)]
#[macro_export]
macro_rules! until {
    () => {
        $crate::Version::LAST
    };
    ($until:literal) => {
        $crate::Version::literal(stringify!($until))
    };
}

/// Lists endpoints: `routes![servers::ListServers, servers::CreateServers]`.
#[macro_export]
macro_rules! routes {
    ($($endpoint:path),* $(,)?) => {
        vec![$($crate::Row::of::<$endpoint>()),*]
    };
}
