//! Names that users give.

/// Longest name of anything (Nova's schemas).
pub const MAX_NAME: usize = 255;

/// A name as Nova's schemas want it: 1 to 255 characters, no control characters, not only blanks; blanks at both
/// ends are taken away, as Nova does below microversion 2.1's strict form.
///
/// # Errors
/// What is wrong with it.
pub fn check(field: &str, name: &str) -> Result<String, String> {
    let trimmed = name.trim();
    let refused = |why: &dyn Fn(&str) -> String| {
        let shown: String = name.chars().take(MAX_NAME * 2).collect();
        let why = why(&shown);
        Err(format!(
            "Invalid input for field/attribute {field}. Value: {shown}. {why}"
        ))
    };
    if name.is_empty() {
        return refused(&|shown| format!("'{shown}' is too short"));
    }
    if name.chars().count() > MAX_NAME {
        return refused(&|shown| format!("'{shown}' is too long"));
    }
    if trimmed.is_empty() || trimmed.chars().any(char::is_control) {
        return refused(&|_| {
            "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace."
                .to_owned()
        });
    }
    Ok(trimmed.to_owned())
}

/// Longest description of a flavor (Nova's schema).
pub const MAX_FLAVOR_DESCRIPTION: usize = 65_535;

/// A description as Nova's schemas want it: printable characters, at most so many.
///
/// # Errors
/// What is wrong with it.
pub fn check_description(text: Option<&str>, most: usize) -> Result<(), String> {
    let text = text.unwrap_or_default();
    let why = if text.chars().count() > most {
        "is too long"
    } else if text.chars().any(char::is_control) {
        "has characters that cannot be printed"
    } else {
        return Ok(());
    };
    let shown: String = text.chars().take(MAX_NAME * 2).collect();
    let shown = shown.escape_debug();
    Err(format!(
        "Invalid input for field/attribute description. Value: {shown}. '{shown}' {why}"
    ))
}

/// A host name for the guest, made of the server's name as Nova does: what is no letter, digit, dot or hyphen goes,
/// blanks and underscores become hyphens; without anything left, `Server-<id>`.
#[must_use]
pub fn hostname(name: &str, server_id: &str) -> String {
    let kept: String = name
        .chars()
        .map(|character| {
            if character == ' ' || character == '_' {
                '-'
            } else {
                character
            }
        })
        .filter(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '.'))
        .collect();
    let kept = kept.to_ascii_lowercase();
    let kept = kept.trim_matches(['-', '.']);
    let short: String = kept.chars().take(63).collect();
    let short = short.trim_end_matches(['-', '.']);
    if short.is_empty() {
        format!("Server-{server_id}")
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_made_of_server_names() {
        assert_eq!(hostname("My server_1!", "x"), "my-server-1");
        assert_eq!(hostname("--web.01--", "x"), "web.01");
        assert_eq!(hostname("服务器", "42"), "Server-42");
        assert_eq!(hostname(&"a".repeat(100), "x").len(), 63);
    }

    #[test]
    fn names_are_checked() {
        assert_eq!(check("name", " a ").as_deref(), Ok("a"));
        assert_eq!(check("name", "服务器").as_deref(), Ok("服务器"));
        assert!(check("name", "  ").is_err());
        assert!(check("name", &"a".repeat(256)).is_err());
        assert!(check("name", "a\u{7}b").is_err());
        assert_eq!(check_description(None, 9), Ok(()));
        assert_eq!(check_description(Some("für 服务器"), 9), Ok(()));
        assert!(check_description(Some("a\nb"), 9).is_err());
        assert!(check_description(Some("0123456789"), 9).is_err());
    }
}
