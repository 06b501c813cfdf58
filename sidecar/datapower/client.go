package datapower

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/go-retryablehttp"
)

// Client talks to one gateway as one user. It keeps no connection and no state between calls, so there is nothing to
// close. Its methods may be called from many goroutines.
//
// Every method returns an error that wraps one of the package's reasons, unless the context ended the call.
type Client struct {
	options Options
	base    string
	// reading and changing repeat failed requests; changing only those that never reached the gateway.
	reading, changing *retryablehttp.Client
	secrets           []string
}

// New checks the options and makes a client. It does not connect. Errors wrap [ErrOptions].
func New(options Options) (*Client, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	base, err := baseURL(options.Address)
	if err != nil {
		return nil, err
	}
	parsed, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("%w: the address must read host:port or https://host:port", ErrOptions)
	}
	single, err := newHTTPClient(options, parsed.Hostname())
	if err != nil {
		return nil, err
	}
	pair := options.Username + ":" + options.Password
	return &Client{
		options:  options,
		base:     base,
		reading:  newRetryingClient(single, options, true),
		changing: newRetryingClient(single, options, false),
		secrets:  []string{base64.StdEncoding.EncodeToString([]byte(pair)), options.Password},
	}, nil
}

// observe reports the end of a call that began at the time of the call of observe itself.
func (c *Client) observe(operation string, err *error) func() {
	begin := c.options.Clock.Now()
	return func() {
		c.options.Observe(Call{Operation: operation, Duration: c.options.Clock.Since(begin), Err: *err})
	}
}

// resource makes the path of a resource. The first part stays as it is, all others are escaped.
func resource(root string, parts ...string) string {
	var path strings.Builder
	path.WriteString(root)
	for _, part := range parts {
		path.WriteString("/" + url.PathEscape(part))
	}
	return path.String()
}

// hasEmptyPart finds names that would make another resource of a path: an empty one, "." and "..".
func hasEmptyPart(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Trim(part, ".") == "" })
}

// get reads a resource and returns the values of the wanted top-level keys of its answer, and those of the keys that
// tell of errors and of nothing found.
func (c *Client) get(ctx context.Context, path string, wanted ...string) (map[string]json.RawMessage, error) {
	_, fields, err := c.request(ctx, c.reading, http.MethodGet, path, nil, wanted...)
	return fields, err
}

// request sends one request and returns status and wanted keys of a successful answer.
func (c *Client) request(
	ctx context.Context, via *retryablehttp.Client, method, path string, body []byte, wanted ...string,
) (int, map[string]json.RawMessage, error) {
	var content any
	if body != nil {
		content = body
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil || hasEmptyPart(path) {
		return 0, nil, fmt.Errorf("%w: %s is no valid resource", ErrOptions, path)
	}
	request.SetBasicAuth(c.options.Username, c.options.Password)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "datapower-operator")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := via.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, classify(ctx, err))
	}
	answer, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil { // closing also ends the timer of the attempt
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, classify(ctx, err))
	}
	fields, err := c.open(response.StatusCode, answer, wanted)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return response.StatusCode, fields, nil
}

// classify adds the reason to an error of the transport.
func classify(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil, errors.Is(err, ErrAnswerTooLarge), errors.Is(err, ErrCertificate):
		return err
	case isCertificateError(err):
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	case isRefusal(err):
		return fmt.Errorf("%w, %w: %w", ErrUnreachable, ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// open takes the wanted keys out of an answer, or makes an error of it.
func (c *Client) open(status int, answer []byte, wanted []string) (map[string]json.RawMessage, error) {
	fields, err := pick(answer, append([]string{keyError, keyErrors, keyResult}, wanted...))
	success := status >= 200 && status < 300
	if err != nil {
		if success {
			return nil, err
		}
		return nil, &APIError{Status: status} // an error page of something in between
	}
	if texts, found := errorTexts(fields); found || !success {
		return nil, &APIError{Status: status, Messages: clean(texts, c.secrets...)}
	}
	return fields, nil
}
