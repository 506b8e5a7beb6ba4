//! Status codes of answers.

use crate::stats::kinds;

kinds! {
    /// The status of an answer that is no success (RFC 9110, section 15), as far as such answers are counted one by one.
    pub enum Status {
        /// 301.
        MovedPermanently: "301", "301 Moved Permanently";
        /// 302.
        Found: "302", "302 Found";
        /// 307.
        TemporaryRedirect: "307", "307 Temporary Redirect";
        /// 308.
        PermanentRedirect: "308", "308 Permanent Redirect";
        /// 400.
        BadRequest: "400", "400 Bad Request";
        /// 401.
        Unauthorized: "401", "401 Unauthorized";
        /// 403.
        Forbidden: "403", "403 Forbidden";
        /// 404.
        NotFound: "404", "404 Not Found";
        /// 405.
        MethodNotAllowed: "405", "405 Method Not Allowed";
        /// 426.
        UpgradeRequired: "426", "426 Upgrade Required";
        /// 429 (RFC 6585, section 4).
        TooManyRequests: "429", "429 Too Many Requests";
        /// 500.
        InternalServerError: "500", "500 Internal Server Error";
        /// 502.
        BadGateway: "502", "502 Bad Gateway";
        /// 503.
        ServiceUnavailable: "503", "503 Service Unavailable";
        /// 504.
        GatewayTimeout: "504", "504 Gateway Timeout";
        /// Another success than the one that was needed: 2xx.
        Success: "2xx", "another 2xx status";
        /// Any other.
        Other: "other", "another status";
    }
}

impl Status {
    /// That of this code.
    pub fn of(code: u16) -> Status {
        let name = code.to_string();
        match Status::ALL.into_iter().find(|status| status.name() == name) {
            Some(status) => status,
            None if code / 100 == 2 => Status::Success,
            None => Status::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_the_status_of_its_name() {
        for (code, status) in [
            (403, Status::Forbidden),
            (301, Status::MovedPermanently),
            (204, Status::Success),
            (418, Status::Other),
            (0, Status::Other),
        ] {
            assert_eq!(Status::of(code), status);
        }
    }
}
