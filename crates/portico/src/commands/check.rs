//! `portico check-config`.

use std::{fmt::Write as _, process::ExitCode};

use super::{ConfigFile, complain, place::Told, say, verdict};
use crate::{
    config::{self, Config, Loaded, Mistakes, Notice},
    control::{Request, ask},
};

pub(super) fn check(file: &ConfigFile) -> ExitCode {
    let told = Told::by(file);
    let (told, is_good) = judge(config::load(told.file.as_deref(), told.variables));
    if is_good {
        say(&told);
    } else {
        complain(&told);
    }
    verdict(is_good)
}

fn judge(loaded: Result<Loaded, Mistakes>) -> (String, bool) {
    match loaded {
        Err(mistakes) => (format!("{mistakes}\n{}", list(&mistakes.notices)), false),
        Ok(loaded) => {
            // The gateway itself holds its ports: they are tried only where it does not run.
            let is_running = ask(&loaded.config.control.socket, &Request::Health).is_ok();
            let found = if is_running {
                Mistakes::default()
            } else {
                config::probe(&loaded)
            };
            let notices = list(&[loaded.notices, found.notices].concat());
            if found.mistakes.is_empty() {
                let running = if is_running {
                    "the gateway is running: its ports were not tried\n"
                } else {
                    ""
                };
                (format!("{}{running}{notices}", summary(&loaded.config)), true)
            } else {
                let mistakes = Mistakes {
                    mistakes: found.mistakes,
                    notices: Vec::new(),
                };
                (format!("{mistakes}\n{notices}"), false)
            }
        }
    }
}

fn list(notices: &[Notice]) -> String {
    let mut text = String::new();
    if !notices.is_empty() {
        text.push_str("worth a word:\n");
    }
    for notice in notices {
        let _ = writeln!(text, "  {notice}");
    }
    text
}

fn summary(config: &Config) -> String {
    let list = |addresses: &[std::net::SocketAddr]| -> String {
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        if texts.is_empty() {
            "nowhere".into()
        } else {
            texts.join(", ")
        }
    };
    let console = match &config.site.console {
        Some(console) => format!("{console}, on {}", list(&config.console.listen)),
        None => "on the gateway's own address".into(),
    };
    let queues = match &config.discovery.queues[..] {
        [] => "all queues".to_owned(),
        queues => format!("the queues {}", queues.join(", ")),
    };
    let streams = match &config.streams {
        Some(streams) => format!("{}, ports {}", streams.external, streams.range),
        None => "none".into(),
    };
    format!(
        "the configuration is good\n\
         gateway    {} at {}, on {}\nTCP        {streams}\nconsole    {console}\noperations {}\nClearML    {}\ntasks      of {queues}\n",
        config.site.name,
        config.site.router,
        list(&config.http.listen),
        list(&config.operations.listen),
        config.clearml.api_host,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(more: &[(&str, &str)]) -> (String, bool) {
        let needed = [
            ("ROUTER_URL", "https://gateway.example.com"),
            ("CLEARML_API_HOST", "https://api.clearml.example.com"),
            ("CLEARML_API_ACCESS_KEY", "key"),
            ("CLEARML_API_SECRET_KEY", "secret"),
            ("PORTICO__HTTP__LISTEN", "127.0.0.1:0"),
            ("PORTICO__OPERATIONS__LISTEN", "127.0.0.1:0"),
            ("PORTICO__STATE__PATH", "memory"),
            ("PORTICO_CONTROL_SOCKET", "/nonexistent/control.sock"),
        ];
        let all = needed
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        judge(config::load(None, all.collect::<std::collections::BTreeMap<_, _>>()))
    }

    #[test]
    fn a_good_configuration_is_summed_up_with_its_notices() {
        let (text, is_good) = with(&[("LISTEN_QUEUE_NAME", "one,two")]);
        assert!(is_good);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn mistakes_come_with_notices() {
        let (text, is_good) = with(&[
            ("ROUTER_URL", "gateway"),
            ("PORTICO__NONSENSE", "1"),
            ("AUTH_ENABLED", "false"),
        ]);
        assert!(!is_good);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_taken_port_is_a_mistake() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address").to_string();
        let (text, is_good) = with(&[("PORTICO__HTTP__LISTEN", &address)]);
        assert!(
            !is_good && text.contains("1 mistake in the configuration") && text.contains(&address),
            "{text}"
        );
    }
}
