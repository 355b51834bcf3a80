//! A message in the form that a webhook takes.

use serde_json::{Value, json};

use super::{
    alert::{Alert, AlertCause},
    message::Message,
    settings::{AlertKind, AlertSinkKind},
};

/// The version of reroll's own JSON. The same version may get more fields.
const VERSION: u32 = 1;
/// How many alerts reroll's own JSON lists; `more` counts the rest.
const LISTED: usize = 200;

/// What to post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) media_type: &'static str,
    pub(super) body: String,
}

impl Content {
    pub(super) fn new(sink: AlertSinkKind, prefix: &str, message: &Message) -> Self {
        let body = match sink {
            AlertSinkKind::Slack => slack(prefix, message),
            AlertSinkKind::Teams => teams(prefix, message),
            AlertSinkKind::Gchat => json!({ "text": plain(prefix, message) }),
            AlertSinkKind::Json => own(prefix, message),
            AlertSinkKind::Text => {
                return Self {
                    media_type: "text/plain; charset=utf-8",
                    body: plain(prefix, message),
                };
            }
        };
        Self {
            media_type: "application/json; charset=utf-8",
            body: body.to_string(),
        }
    }
}

/// Returns the first line. The prefix stays as the user typed it, because it may mention a person.
fn title(prefix: &str, message: &Message) -> String {
    if prefix.is_empty() {
        message.title()
    } else {
        format!("{prefix}: {}", message.title())
    }
}

fn plain(prefix: &str, message: &Message) -> String {
    let mut lines = vec![title(prefix, message)];
    for section in message.sections() {
        lines.extend(section.lines);
    }
    lines.extend(message.lost_line());
    lines.join("\n")
}

/// Returns the body for an incoming webhook: a text, and attachments with a colour each
/// (<https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments>).
fn slack(prefix: &str, message: &Message) -> Value {
    let attachments: Vec<_> = message
        .sections()
        .into_iter()
        .map(|section| {
            let text = escaped(&section.lines.join("\n"));
            let color = match section.kind {
                AlertKind::Restarted => "good",
                AlertKind::Failing => "danger",
            };
            json!({ "color": color, "fallback": text, "text": text })
        })
        .chain(
            message
                .lost_line()
                .map(|lost| json!({ "color": "warning", "fallback": lost, "text": lost })),
        )
        .collect();
    json!({ "text": title(prefix, message), "attachments": attachments })
}

/// Escapes the three characters that Slack reads as markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Returns the body for Workflows. They take a message with an Adaptive Card; the connectors that were retired took a
/// `MessageCard`
/// (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>).
fn teams(prefix: &str, message: &Message) -> Value {
    let text = |text: &str| json!({ "type": "TextBlock", "text": text, "wrap": true });
    let mut body = vec![json!({
        "type": "TextBlock", "text": title(prefix, message), "wrap": true, "weight": "Bolder", "size": "Medium",
    })];
    for section in message.sections() {
        let style = match section.kind {
            AlertKind::Restarted => "good",
            AlertKind::Failing => "attention",
        };
        let items: Vec<_> = section.lines.iter().map(|line| text(line)).collect();
        body.push(json!({ "type": "Container", "style": style, "items": items }));
    }
    body.extend(message.lost_line().as_deref().map(text));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": body,
            },
        }],
    })
}

/// Returns reroll's own JSON.
fn own(prefix: &str, message: &Message) -> Value {
    let alerts: Vec<_> = message.alerts.iter().take(LISTED).map(alert).collect();
    json!({
        "version": VERSION,
        "prefix": prefix,
        "alerts": alerts,
        "more": message.alerts.len().saturating_sub(LISTED),
        "lost": message.lost,
    })
}

fn alert(alert: &Alert) -> Value {
    let key = &alert.workload;
    let causes: Vec<_> = alert.causes.iter().map(cause).collect();
    json!({
        "alert": alert.kind.as_str(),
        "workload": { "kind": key.kind.kind, "namespace": key.namespace, "name": key.name },
        "causes": causes,
        "moreCauses": alert.more_causes,
        "attempts": alert.attempts,
        "error": alert.error,
        "time": format!("{:.3}", alert.time),
    })
}

fn cause(cause: &AlertCause) -> Value {
    let source = cause.source.as_ref();
    json!({
        "kind": source.map(|(kind, _)| kind),
        "name": source.map(|(_, name)| name),
        "reason": cause.reason,
        "text": cause.text,
    })
}
