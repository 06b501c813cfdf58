package datapower

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

// Defaults of [Options]. The public clients of this interface use one second to thirty seconds as timeout, three attempts,
// and give an action 90 seconds.
const (
	// DefaultTimeout bounds one attempt of a request.
	DefaultTimeout = 10 * time.Second
	// DefaultMaxAnswerBytes bounds the body of one answer.
	DefaultMaxAnswerBytes = 4 << 20
	// DefaultRetries is how often a failed request is repeated.
	DefaultRetries = 2
	// DefaultRetryWait is the pause before the first repetition. It doubles with each further one, up to ten times this.
	DefaultRetryWait = 200 * time.Millisecond
	// DefaultPollInterval is the pause between two looks at an asynchronous action.
	DefaultPollInterval = 500 * time.Millisecond
	// DefaultActionTimeout bounds an action with everything that belongs to it.
	DefaultActionTimeout = 90 * time.Second
)

// Options describe a client. Address, Username and Password are required; every other zero value means the default.
type Options struct {
	// Address is where the gateway's REST management interface listens: "host:port" or "https://host:port".
	Address string
	// Username and Password are sent as basic authentication with every request.
	Username, Password string
	// TLS says which certificate of the gateway is trusted.
	TLS TLSOptions
	// Proxy chooses the proxy of a request; nil means [http.ProxyFromEnvironment], which honours HTTPS_PROXY and NO_PROXY
	// and never uses a proxy for a loopback address. TLS is end to end through a proxy.
	Proxy func(*http.Request) (*url.URL, error)
	// Timeout bounds one attempt, from dialling to the last byte of the answer. The context bounds all of them.
	Timeout time.Duration
	// MaxAnswerBytes bounds the body of one answer.
	MaxAnswerBytes int64
	// Retries is how often a request is repeated after a connection error or a status of 500 and above. Negative means
	// never. Actions are repeated only when they surely did not reach the gateway.
	Retries int
	// RetryWait is the pause before the first repetition.
	RetryWait time.Duration
	// PollInterval is the pause between two looks at an asynchronous action.
	PollInterval time.Duration
	// ActionTimeout bounds [Client.Action].
	ActionTimeout time.Duration
	// Clock measures the pauses between two looks at an action and the durations of calls.
	Clock clock.Clock
	// Log gets a line at V(1) for each failed attempt and more at V(2). It never gets bodies or credentials.
	Log logr.Logger
	// Observe is called at the end of each call, for metrics. It is called from the goroutine of the call.
	Observe func(Call)
}

// Call tells about a finished call of a client.
type Call struct {
	// Operation names the client's method in lower case with dashes, for example "peering-status". An action that is
	// polled is one call "action".
	Operation string
	// Duration is the time from the start to the end, repetitions included.
	Duration time.Duration
	// Err is what the call returned.
	Err error
}

// withDefaults fills in what is absent and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if o.Username == "" || o.Password == "" {
		return o, fmt.Errorf("%w: user name and password are required", ErrOptions)
	}
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	if o.Observe == nil {
		o.Observe = func(Call) {}
	}
	if o.Retries == 0 {
		o.Retries = DefaultRetries
	}
	o.Retries = max(o.Retries, 0)
	if o.MaxAnswerBytes <= 0 {
		o.MaxAnswerBytes = DefaultMaxAnswerBytes
	}
	defaultDuration(&o.Timeout, DefaultTimeout)
	defaultDuration(&o.RetryWait, DefaultRetryWait)
	defaultDuration(&o.PollInterval, DefaultPollInterval)
	defaultDuration(&o.ActionTimeout, DefaultActionTimeout)
	return o, nil
}

func defaultDuration(value *time.Duration, standard time.Duration) {
	if *value <= 0 {
		*value = standard
	}
}

// baseURL makes "https://host:port" of an address. The error repeats nothing of the address, because an address that
// somebody wrote with credentials must not show them.
func baseURL(address string) (string, error) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "https" || parsed.User != nil || parsed.Hostname() == "" {
		return "", fmt.Errorf("%w: the address must read host:port or https://host:port", ErrOptions)
	}
	if strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", fmt.Errorf("%w: the address must not have a path", ErrOptions)
	}
	if parsed.Port() == "" {
		return "", fmt.Errorf("%w: the address must name a port", ErrOptions)
	}
	return "https://" + net.JoinHostPort(parsed.Hostname(), parsed.Port()), nil
}
