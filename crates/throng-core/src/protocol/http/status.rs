//! Status codes of answers.

use crate::stats::kinds;

kinds! {
    /// The status of an answer (RFC 9110, section 15): those that are registered are counted one by one, the others by their
    /// class.
    pub enum Status {
        /// 100.
        Continue: "100", "100 Continue";
        /// 101.
        SwitchingProtocols: "101", "101 Switching Protocols";
        /// 102.
        Processing: "102", "102 Processing";
        /// 103.
        EarlyHints: "103", "103 Early Hints";
        /// 200.
        Ok: "200", "200 OK";
        /// 201.
        Created: "201", "201 Created";
        /// 202.
        Accepted: "202", "202 Accepted";
        /// 203.
        NonAuthoritativeInformation: "203", "203 Non-Authoritative Information";
        /// 204.
        NoContent: "204", "204 No Content";
        /// 205.
        ResetContent: "205", "205 Reset Content";
        /// 206.
        PartialContent: "206", "206 Partial Content";
        /// 207.
        MultiStatus: "207", "207 Multi-Status";
        /// 208.
        AlreadyReported: "208", "208 Already Reported";
        /// 226.
        ImUsed: "226", "226 IM Used";
        /// 300.
        MultipleChoices: "300", "300 Multiple Choices";
        /// 301.
        MovedPermanently: "301", "301 Moved Permanently";
        /// 302.
        Found: "302", "302 Found";
        /// 303.
        SeeOther: "303", "303 See Other";
        /// 304.
        NotModified: "304", "304 Not Modified";
        /// 305.
        UseProxy: "305", "305 Use Proxy";
        /// 307.
        TemporaryRedirect: "307", "307 Temporary Redirect";
        /// 308.
        PermanentRedirect: "308", "308 Permanent Redirect";
        /// 400.
        BadRequest: "400", "400 Bad Request";
        /// 401.
        Unauthorized: "401", "401 Unauthorized";
        /// 402.
        PaymentRequired: "402", "402 Payment Required";
        /// 403.
        Forbidden: "403", "403 Forbidden";
        /// 404.
        NotFound: "404", "404 Not Found";
        /// 405.
        MethodNotAllowed: "405", "405 Method Not Allowed";
        /// 406.
        NotAcceptable: "406", "406 Not Acceptable";
        /// 407.
        ProxyAuthenticationRequired: "407", "407 Proxy Authentication Required";
        /// 408.
        RequestTimeout: "408", "408 Request Timeout";
        /// 409.
        Conflict: "409", "409 Conflict";
        /// 410.
        Gone: "410", "410 Gone";
        /// 411.
        LengthRequired: "411", "411 Length Required";
        /// 412.
        PreconditionFailed: "412", "412 Precondition Failed";
        /// 413.
        ContentTooLarge: "413", "413 Content Too Large";
        /// 414.
        UriTooLong: "414", "414 URI Too Long";
        /// 415.
        UnsupportedMediaType: "415", "415 Unsupported Media Type";
        /// 416.
        RangeNotSatisfiable: "416", "416 Range Not Satisfiable";
        /// 417.
        ExpectationFailed: "417", "417 Expectation Failed";
        /// 421.
        MisdirectedRequest: "421", "421 Misdirected Request";
        /// 422.
        UnprocessableContent: "422", "422 Unprocessable Content";
        /// 423.
        Locked: "423", "423 Locked";
        /// 424.
        FailedDependency: "424", "424 Failed Dependency";
        /// 425.
        TooEarly: "425", "425 Too Early";
        /// 426.
        UpgradeRequired: "426", "426 Upgrade Required";
        /// 428.
        PreconditionRequired: "428", "428 Precondition Required";
        /// 429.
        TooManyRequests: "429", "429 Too Many Requests";
        /// 431.
        RequestHeaderFieldsTooLarge: "431", "431 Request Header Fields Too Large";
        /// 451.
        UnavailableForLegalReasons: "451", "451 Unavailable For Legal Reasons";
        /// 500.
        InternalServerError: "500", "500 Internal Server Error";
        /// 501.
        NotImplemented: "501", "501 Not Implemented";
        /// 502.
        BadGateway: "502", "502 Bad Gateway";
        /// 503.
        ServiceUnavailable: "503", "503 Service Unavailable";
        /// 504.
        GatewayTimeout: "504", "504 Gateway Timeout";
        /// 505.
        HttpVersionNotSupported: "505", "505 HTTP Version Not Supported";
        /// 506.
        VariantAlsoNegotiates: "506", "506 Variant Also Negotiates";
        /// 507.
        InsufficientStorage: "507", "507 Insufficient Storage";
        /// 508.
        LoopDetected: "508", "508 Loop Detected";
        /// 510.
        NotExtended: "510", "510 Not Extended";
        /// 511.
        NetworkAuthenticationRequired: "511", "511 Network Authentication Required";
        /// Another of its class.
        Other1xx: "1xx", "another 1xx status";
        /// Another of its class.
        Other2xx: "2xx", "another 2xx status";
        /// Another of its class.
        Other3xx: "3xx", "another 3xx status";
        /// Another of its class.
        Other4xx: "4xx", "another 4xx status";
        /// Another of its class.
        Other5xx: "5xx", "another 5xx status";
        /// Any other.
        Other: "other", "a status that is not from 100 to 599";
    }
}

/// The first code that has no status.
const CODES: usize = 600;

/// The status of each code.
static OF: [Status; CODES] = {
    let mut of = [Status::Other; CODES];
    let others = [
        Status::Other1xx,
        Status::Other2xx,
        Status::Other3xx,
        Status::Other4xx,
        Status::Other5xx,
    ];
    let mut code = 100;
    while code < CODES {
        of[code] = others[code / 100 - 1];
        code += 1;
    }
    let mut at = 0;
    while at < Status::ALL.len() {
        if let [h @ b'1'..=b'5', t @ b'0'..=b'9', u @ b'0'..=b'9'] =
            Status::ALL[at].name().as_bytes()
        {
            let code =
                (*h - b'0') as usize * 100 + (*t - b'0') as usize * 10 + (*u - b'0') as usize;
            of[code] = Status::ALL[at];
        }
        at += 1;
    }
    of
};

impl Status {
    /// That of this code.
    #[inline]
    pub fn of(code: u16) -> Status {
        OF.get(usize::from(code)).copied().unwrap_or(Status::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_the_status_of_its_name() {
        for (code, status) in [
            (100, Status::Continue),
            (200, Status::Ok),
            (403, Status::Forbidden),
            (511, Status::NetworkAuthenticationRequired),
            (299, Status::Other2xx),
            (418, Status::Other4xx),
            (599, Status::Other5xx),
            (99, Status::Other),
            (600, Status::Other),
            (999, Status::Other),
        ] {
            assert_eq!(Status::of(code), status);
        }
        for status in Status::ALL {
            if let Ok(code) = status.name().parse() {
                assert_eq!(Status::of(code), status);
            }
        }
    }
}
