//! Why a stream was closed in place of an application's answer. There is nobody to whom it could be told but the log.

/// Why a visitor's connection was closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamRefusal {
    /// There are as many streams as there may be.
    Limit,
    /// There are as many streams from the visitor's address as there may be.
    AddressLimit,
    /// So many visitors are waiting for the endpoint's application already, or for a data thread.
    Busy,
    /// A trusted proxy sent no PROXY header that can be read, or not in time.
    BadProxyHeader,
    /// The visitor's address is in none of the allowed networks.
    SourceNotAllowed,
    /// The endpoint asks for visitors who are signed in, and nobody is at this address.
    LogInRequired,
    /// Those who are signed in at the visitor's address may not reach the endpoint.
    NotAllowed,
    /// ClearML would have to be asked, and cannot be.
    ClearmlAway,
    /// The endpoint is gone, or elsewhere now.
    NoEndpoint,
    /// The application's port is closed.
    NotListening,
    /// No route to the application, or no answer to the connection attempt.
    Unreachable,
    /// Kubernetes has not confirmed the application's address for too long.
    Unproven,
    /// The system gave no socket.
    Internal,
}

impl StreamRefusal {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 13] = [
        Self::Limit,
        Self::AddressLimit,
        Self::Busy,
        Self::BadProxyHeader,
        Self::SourceNotAllowed,
        Self::LogInRequired,
        Self::NotAllowed,
        Self::ClearmlAway,
        Self::NoEndpoint,
        Self::NotListening,
        Self::Unreachable,
        Self::Unproven,
        Self::Internal,
    ];

    /// The stable word for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::AddressLimit => "address_limit",
            Self::Busy => "busy",
            Self::BadProxyHeader => "bad_proxy_header",
            Self::SourceNotAllowed => "source_not_allowed",
            Self::LogInRequired => "log_in_required",
            Self::NotAllowed => "not_allowed",
            Self::ClearmlAway => "clearml_away",
            Self::NoEndpoint => "no_endpoint",
            Self::NotListening => "not_listening",
            Self::Unreachable => "unreachable",
            Self::Unproven => "pods_unproven",
            Self::Internal => "internal",
        }
    }

    /// Its place in [`StreamRefusal::ALL`].
    pub(crate) fn place(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_place() {
        for (place, refusal) in StreamRefusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal.place(), place, "{refusal:?}");
        }
    }
}
