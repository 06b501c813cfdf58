package program

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Variables of the environment that say what the flags --metrics-bind-address, --metrics-secure and --zap-log-level say;
// a flag that is given wins.
const (
	MetricsBindAddressVariable = "METRICS_BIND_ADDRESS"
	MetricsSecureVariable      = "METRICS_SECURE"
	LogLevelVariable           = "LOG_LEVEL"
)

// ErrInvalidMetrics is returned for metrics settings that cannot be followed: one has no usable value, or they contradict
// each other.
var ErrInvalidMetrics = errors.New("the metrics endpoint cannot be served")

// disabled is the bind address of a server that is not wanted.
const disabled = "0"

// wish is what was said about the metrics endpoint.
type wish struct {
	// address is "" unless somebody named one.
	address string
	// secure is nil unless somebody said so.
	secure *bool
	// usual is the program's own address, that of HTTPS.
	usual string
}

// endpoint is what is served.
type endpoint struct {
	address string
	secure  bool
}

// decide says what is served. Address 0 ends plain HTTP; together with an explicit wish for HTTPS, which has a port of its
// own, it leaves that. Without it, 0 ends both, as in controller-runtime. It fails with [ErrInvalidMetrics] for an address
// that is none, and for plain HTTP where scrapers expect HTTPS.
func (w wish) decide() (endpoint, error) {
	plain := w.secure != nil && !*w.secure
	switch {
	case w.address == disabled && w.secure != nil && *w.secure:
		return endpoint{w.usual, w.usual != disabled}, nil
	case w.address == disabled:
		return endpoint{disabled, !plain}, nil
	case w.address == "" && !plain:
		return endpoint{w.usual, true}, nil
	case w.address == "":
		return endpoint{}, fmt.Errorf("%w: %s=false asks for plain HTTP and %s names no address for it: "+
			"name one other than %s, which is that of HTTPS, or 0 for no metrics at all",
			ErrInvalidMetrics, MetricsSecureVariable, MetricsBindAddressVariable, w.usual)
	}
	port, err := portOf(w.address)
	if err != nil {
		return endpoint{}, fmt.Errorf("%w: %s=%q is no address of the form host:port: %w",
			ErrInvalidMetrics, MetricsBindAddressVariable, w.address, err)
	}
	if usual, err := portOf(w.usual); plain && err == nil && port == usual && port != 0 {
		return endpoint{}, fmt.Errorf("%w: %s=%s is the port of HTTPS and %s=false asks for plain HTTP: "+
			"take another port, or leave out %s", ErrInvalidMetrics, MetricsBindAddressVariable, w.address,
			MetricsSecureVariable, MetricsSecureVariable)
	}
	return endpoint{w.address, !plain}, nil
}

// highestPort is the last that TCP has.
const highestPort = 65535

func portOf(address string) (int, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 0 || port > highestPort {
		return 0, fmt.Errorf("%q is no port", text)
	}
	return port, nil
}

// readMetrics finds out what was said about the metrics endpoint, and follows it.
func (o *Options) readMetrics(getenv func(string) string) error {
	said := wish{address: getenv(MetricsBindAddressVariable), usual: o.usualMetrics}
	if text := getenv(MetricsSecureVariable); text != "" {
		secure, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%w: %s=%q is neither true nor false", ErrInvalidMetrics, MetricsSecureVariable, text)
		}
		said.secure = &secure
	}
	if o.given("metrics-bind-address") {
		said.address = o.MetricsBindAddress
	}
	if o.given("metrics-secure") {
		said.secure = &o.MetricsSecure
	}
	if said.address == "" && said.secure == nil {
		return nil
	}
	served, err := said.decide()
	if err != nil {
		return err
	}
	o.MetricsBindAddress, o.MetricsSecure = served.address, served.secure
	return nil
}

// given tells whether a flag was given.
func (o *Options) given(flag string) bool { return o.flags != nil && o.flags.Changed(flag) }
