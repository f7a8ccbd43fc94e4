//! What an HTTP listener does with some requests, in haproxy's words. Pure.
//!
//! haproxy decides what is refused or sent elsewhere before it chooses a pool, and Octavia promises the same: first
//! refusals, then redirections, then pools; within each by position.

use super::words;
use crate::model::quota::RULES;
use crate::model::spec::{L7Action, L7Compare, L7PolicySpec, L7RuleSpec, L7Subject};

/// The lines of a listener's policies; `backend` is what a pool is called there.
pub fn lines(
    policies: &[L7PolicySpec],
    backend: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    let mut ranked: Vec<_> = policies
        .iter()
        .filter(|one| !one.rules.is_empty())
        .collect();
    ranked.sort_by_key(|one| rank(&one.action));
    for (number, policy) in ranked.into_iter().enumerate() {
        if policy.rules.len() > RULES {
            return Err(format!(
                "L7 policy {} has more than {RULES} rules",
                policy.id
            ));
        }
        let mut all = Vec::new();
        for (at, rule) in policy.rules.iter().enumerate() {
            let name = format!("l7_{number}_{at}");
            lines.push(format!("acl {name} {}", condition(rule)?));
            all.push(if rule.invert {
                format!("!{name}")
            } else {
                name
            });
        }
        let what = action(&policy.action, backend)?;
        lines.push(format!("{what} if {}", all.join(" ")));
    }
    Ok(lines)
}

const fn rank(action: &L7Action) -> u8 {
    match action {
        L7Action::Reject => 0,
        L7Action::Redirect { .. } | L7Action::RedirectPrefix { .. } => 1,
        L7Action::Pool { .. } => 2,
    }
}

fn action(
    action: &L7Action,
    backend: &dyn Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    let code = |code: u16| match code {
        301 | 302 | 303 | 307 | 308 => Ok(code),
        other => Err(format!("{other} is no status code of a redirection")),
    };
    Ok(match action {
        L7Action::Reject => "http-request deny".to_owned(),
        L7Action::Pool { pool } => format!("use_backend {}", backend(pool)?),
        L7Action::Redirect { url, code: status } => format!(
            "http-request redirect code {} location {}",
            code(*status)?,
            words::format(url)?
        ),
        L7Action::RedirectPrefix {
            prefix,
            code: status,
        } => format!(
            "http-request redirect code {} prefix {}",
            code(*status)?,
            words::format(prefix)?
        ),
    })
}

fn condition(rule: &L7RuleSpec) -> Result<String, String> {
    let how = match rule.compare {
        L7Compare::Equal => "str",
        L7Compare::StartsWith => "beg",
        L7Compare::EndsWith => "end",
        L7Compare::Contains => "sub",
        L7Compare::Regex => "reg",
    };
    let what = match &rule.subject {
        L7Subject::HostName => "req.hdr(host),field(1,:) -i".to_owned(),
        L7Subject::Path => "path".to_owned(),
        L7Subject::FileType => "path,field(-1,.)".to_owned(),
        L7Subject::Header { key } => words::word(&format!("req.hdr({})", words::token(key)?))?,
        L7Subject::Cookie { key } => words::word(&format!("req.cook({})", words::token(key)?))?,
    };
    Ok(format!("{what} -m {how} -- {}", words::word(&rule.value)?))
}
