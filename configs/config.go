// Package configs reads, checks and prints the configuration. Load lays the sources over each other (default.yaml, the
// YAML file, .env, the environment, flags) and returns plain structs in which every value is valid, or one *Error that
// lists every fault. The file default.yaml explains each key to users; the structs here must match it.
package configs

import "time"

// Config is the whole configuration. Copies share their maps and slices: read it, do not change it.
type Config struct {
	Role string `koanf:"role"` // RoleAll, RoleAPI or RoleWorker

	StartTimeout time.Duration `koanf:"start_timeout"` // how long a start waits for brokers; 0: for ever

	Log      Log     `koanf:"log"`
	Server   Server  `koanf:"server"`
	Request  Request `koanf:"request"`
	Queue    Queue   `koanf:"queue"`
	Store    Store   `koanf:"store"`
	Sections `koanf:",squash"`
	Worker   Worker `koanf:"worker"`
	Retry    Retry  `koanf:"retry"`
	Proxy    Proxy  `koanf:"proxy"`

	origins map[string]origin // of every key that was set, for faults found after Load
	dotEnv  string
}

// DotEnv returns the path of the .env file that was read; empty: none was.
func (c *Config) DotEnv() string { return c.dotEnv }

// The roles a process can play.
const (
	RoleAll    = "all"
	RoleAPI    = "api"
	RoleWorker = "worker"
)

// Log says what is logged and how it looks.
type Log struct {
	Level  string `koanf:"level"`  // LevelDebug to LevelError
	Format string `koanf:"format"` // FormatAuto, FormatJSON or FormatText
}

// The log levels, as slog knows them.
const (
	LevelDebug = "debug"
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelError = "error"
)

// The log formats. FormatAuto is text on a terminal and JSON otherwise.
const (
	FormatAuto = "auto"
	FormatJSON = "json"
	FormatText = "text"
)

// Server configures the HTTP server of the api role.
type Server struct {
	Host           string        `koanf:"host"`            // an IP address or a host name, never empty
	Port           int           `koanf:"port"`            // 0: any free one
	AdminListen    string        `koanf:"admin_listen"`    // host:port, of a listener for administration; empty: none
	TLS            ServerTLS     `koanf:"tls"`             // of the main port and the transparent one
	AdminTLS       ServerTLS     `koanf:"admin_tls"`       // of AdminListen
	PublicURL      string        `koanf:"public_url"`      // prefix of Locations without a final slash; empty: none
	MaxBodySize    ByteSize      `koanf:"max_body_size"`   // of one request
	ReadTimeout    time.Duration `koanf:"read_timeout"`    // for a whole request, header and body
	MaxConnections int           `koanf:"max_connections"` // open at once
	Hosts          []string      `koanf:"hosts"`           // names of this server for clients without a key
	ShutdownDelay  time.Duration `koanf:"shutdown_delay"`  // between "not ready" and closing the listener; may be 0
	TrustedProxies []string      `koanf:"trusted_proxies"` // addresses and networks, see ProxyPrefixes
	CORS           CORS          `koanf:"cors"`            // which pages in a browser may use the server
	APIKeys        []APIKey      `koanf:"api_keys"`        // empty: everybody may do everything
	RateLimit      RateLimit     `koanf:"rate_limit"`      // of each key or, without keys, client address
}

// CORS says which pages of other origins may use the server.
type CORS struct {
	Origins []string      `koanf:"origins"` // scheme://host[:port], or "*" for all, which needs keys; empty: none
	Headers []string      `koanf:"headers"` // that pages may send: names, or "*" for all
	MaxAge  time.Duration `koanf:"max_age"` // how long a browser remembers what it may send
}

// ServerTLS says how a listener encrypts; the zero value: not at all.
type ServerTLS struct {
	CertFile     string `koanf:"cert_file"`      // of the server, with intermediates; only together with KeyFile
	KeyFile      string `koanf:"key_file"`       // of the server
	ClientCAFile string `koanf:"client_ca_file"` // authorities of certificates that clients must have; empty: none
}

// On reports whether the listener encrypts.
func (t *ServerTLS) On() bool { return t.CertFile != "" }

// Request bounds the life of requests.
type Request struct {
	MaxAge         time.Duration `koanf:"max_age"`         // submission to deadline, where the client names none
	IdempotencyTTL time.Duration `koanf:"idempotency_ttl"` // how long an Idempotency-Key is remembered
}

// Queue says which queue holds the requests, and how it hands them out.
type Queue struct {
	Type          string        `koanf:"type"`           // one of QueueTypes
	Requests      string        `koanf:"requests"`       // name of the stream, topic or queue of requests
	Responses     string        `koanf:"responses"`      // name of where every result is published; empty: none
	ResponsesMax  int           `koanf:"responses_max"`  // entries of a Redis stream of results, about; 0: no limit
	ResultsIn     string        `koanf:"results_in"`     // name of where other programs put results; see HandsOver
	DeadLetters   string        `koanf:"dead_letters"`   // name of where every dead letter is published; empty: none
	Lease         time.Duration `koanf:"lease"`          // of a delivery whose worker gives no sign of life
	MaxDeliveries int           `koanf:"max_deliveries"` // of one request without an outcome; 1 and 2 mean 3
	MaxDepth      int           `koanf:"max_depth"`      // requests; 0: no limit
}

// HandsOver reports whether the requests are for consumers of other programs, which send the results back.
func (q *Queue) HandsOver() bool { return q.ResultsIn != "" }

// Store says where records are kept, and how long.
type Store struct {
	Type          string        `koanf:"type"`            // the one that goes with the queue: Load replaces storeAuto
	TTL           time.Duration `koanf:"ttl"`             // of a record, from its final state
	DeadLetterTTL time.Duration `koanf:"dead_letter_ttl"` // of a dead letter
	Originals     bool          `koanf:"originals"`       // of requests that a broker carries are in the store, too
}

// storeAuto stands for the store that goes with the queue.
const storeAuto = "auto"

// Worker configures what calls backends.
type Worker struct {
	Count    int           `koanf:"count"`     // calls in flight at once, at least 1
	Timeout  time.Duration `koanf:"timeout"`   // of one attempt, where the endpoint names none
	Drain    time.Duration `koanf:"drain"`     // what running calls get at a shutdown; may be 0
	MaxBytes ByteSize      `koanf:"max_bytes"` // in flight, half for requests; less where memory is limited
}

// Retry says whether and when an attempt is repeated.
type Retry struct {
	MaxAttempts int           `koanf:"max_attempts"` // the first one included, at least 1
	Base        time.Duration `koanf:"base"`         // delay before the second attempt, doubled for each further one
	Max         time.Duration `koanf:"max"`          // at least Base
	Jitter      float64       `koanf:"jitter"`       // 0 to 1: 0.2 spreads a delay over +-20 %
	OnStatus    []int         `koanf:"on_status"`    // HTTP statuses that are tried again
}

// Proxy is what is forwarded, and where to.
type Proxy struct {
	DefaultEndpoint string              `koanf:"default_endpoint"`  // a key of Endpoints or empty
	ForwardHeaders  []string            `koanf:"forward_headers"`   // names, or "*" for all
	StripHeaders    []string            `koanf:"strip_headers"`     // names; wins over ForwardHeaders
	MaxResponseSize ByteSize            `koanf:"max_response_size"` // of one body
	Forwarded       string              `koanf:"forwarded"`         // ForwardedOff, ForwardedX or ForwardedRFC7239
	Via             string              `koanf:"via"`               // our name in Via; empty: one for each queue
	Transparent     Transparent         `koanf:"transparent"`
	Endpoints       map[string]Endpoint `koanf:"endpoints" keys:"endpoint"`
}

// The header fields that tell a backend which client asked.
const (
	ForwardedOff     = "off"
	ForwardedX       = "x-forwarded" // X-Forwarded-For, -Proto and -Host
	ForwardedRFC7239 = "rfc7239"     // Forwarded
)

// Transparent is a listener that accepts every request at any path for one endpoint. Both fields are set, or none.
type Transparent struct {
	Listen   string `koanf:"listen"`   // host:port; empty: there is none
	Endpoint string `koanf:"endpoint"` // the name of an endpoint
}

// EndpointEcho is the built-in endpoint, there only while Endpoints is empty.
const EndpointEcho = "echo"

// Endpoint is a backend. What its own configuration leaves out is filled in: Method is POST, Timeout is Worker.Timeout,
// DialTimeout is 10 seconds, each field of Retry is that of Config.Retry, MaxInFlight is Worker.Count or, with two or
// more endpoints, half of it, and Breaker opens when half of at least 10 calls within 30 seconds failed.
type Endpoint struct {
	URL     string        `koanf:"url"` // absolute http or https, without user, query and fragment
	Method  string        `koanf:"method"`
	Timeout time.Duration `koanf:"timeout"` // of one attempt

	DialTimeout   time.Duration `koanf:"dial_timeout"`   // of a connection: name lookup, connecting, TLS handshake
	HeaderTimeout time.Duration `koanf:"header_timeout"` // from the request to the response's header; 0: none of its own

	Headers map[string]Secret `koanf:"headers" keys:"header"`
	Auth    Auth              `koanf:"auth"`
	TLS     TLS               `koanf:"tls"`
	Retry   Retry             `koanf:"retry"`

	RateLimit   RateLimit `koanf:"rate_limit"`    // of attempts
	MaxInFlight int       `koanf:"max_in_flight"` // calls at once, at least 1
	Breaker     Breaker   `koanf:"breaker"`
}

// Breaker keeps calls away from an endpoint that does not work. It opens on a share of failures, on failures in a row,
// or on whichever comes first; with neither it is off.
type Breaker struct {
	Ratio    float64       `koanf:"ratio"`     // of failures among the calls in Window that opens it; 0: never
	Window   time.Duration `koanf:"window"`    // over which calls are counted
	MinCalls int           `koanf:"min_calls"` // fewer calls in Window say nothing
	Failures int           `koanf:"failures"`  // in a row that open it; 0: never
	Cooldown time.Duration `koanf:"cooldown"`  // from opening until a few calls try again
	Probes   int           `koanf:"probes"`    // calls that try
}

// Auth says how to authenticate to an endpoint. Only the fields that belong to Type are set.
type Auth struct {
	Type     string `koanf:"type"`
	Token    Secret `koanf:"token"`    // bearer, api_key and custom
	Username string `koanf:"username"` // basic; without ":" (RFC 7617 section 2)
	Password Secret `koanf:"password"` // basic; may be empty
	Header   string `koanf:"header"`   // api_key and custom
}

// The kinds of authentication.
const (
	AuthNone   = "none"
	AuthBearer = "bearer"  // Authorization: Bearer TOKEN (RFC 6750 section 2.1)
	AuthAPIKey = "api_key" // TOKEN in Header, X-API-Key unless another is named
	AuthBasic  = "basic"   // Authorization: Basic (RFC 7617)
	AuthCustom = "custom"  // TOKEN in Header, whichever that is
)

// TLS changes how the certificate of a server is checked and which one is shown to it. The files are PEM.
type TLS struct {
	CAFile     string `koanf:"ca_file"`     // authorities to trust; empty: those of the system
	CertFile   string `koanf:"cert_file"`   // of the client; only together with KeyFile
	KeyFile    string `koanf:"key_file"`    // of the client
	ServerName string `koanf:"server_name"` // expected in the certificate; empty: the host of the URL
}
