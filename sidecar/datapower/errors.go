package datapower

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Reasons why a call fails. Errors of this package wrap at most one of them, except that an [APIError] stands for the one
// that belongs to its status, and that ErrRefused comes with ErrUnreachable. No error carries the user's password.
var (
	// ErrOptions says that a client cannot be made from the given [Options].
	ErrOptions = errors.New("invalid options of the gateway client")
	// ErrUnreachable says that no complete HTTP answer came: nothing listens, the connection broke, time ran out.
	ErrUnreachable = errors.New("the gateway cannot be reached")
	// ErrRefused says that nothing listens at the gateway's address, as when its REST management interface is off. A proxy
	// on the way says the same of a gateway that it cannot reach.
	ErrRefused = errors.New("nothing listens at its address")
	// ErrCertificate says that the gateway's certificate is not one that the client was told to trust.
	ErrCertificate = errors.New("the gateway's certificate is not trusted")
	// ErrUnauthorized says that the gateway refuses the user name or password (status 401 or 403).
	ErrUnauthorized = errors.New("the gateway refuses the credentials")
	// ErrNotFound says that the resource does not exist or that the user may not see it: the gateway answers 404 to both.
	ErrNotFound = errors.New("the gateway knows no such resource, or hides it from this user")
	// ErrUnsupported says that the gateway does not offer what was asked: an action that is not in its action queue, or a
	// method that a resource does not have (status 405 or 501).
	ErrUnsupported = errors.New("the gateway does not offer this")
	// ErrAnswerTooLarge says that an answer exceeds [Options].MaxAnswerBytes or has more rows than a gateway can have.
	ErrAnswerTooLarge = errors.New("the gateway's answer is too large")
	// ErrMalformed says that an answer is not of the documented form.
	ErrMalformed = errors.New("the gateway's answer is malformed")
	// ErrActionFailed says that an action was accepted and ended in an error. The error wraps an [APIError] as well.
	ErrActionFailed = errors.New("the gateway's action failed")
	// ErrActionPending says that an action did not end within [Options].ActionTimeout. Its outcome is unknown.
	ErrActionPending = errors.New("the gateway's action has not ended in time")
)

const (
	// maxMessages and maxMessageRunes bound what of a gateway's error texts enters an error. Such errors end up in
	// conditions and events.
	maxMessages     = 8
	maxMessageRunes = 256
)

// APIError is an error that the gateway answered.
type APIError struct {
	// Status is the HTTP status. It is 200 when an answer that looks successful carries error texts.
	Status int
	// Messages are the gateway's texts in their order: at most eight, each cut to 256 characters, without control
	// characters. Empty when the answer had none.
	Messages []string
}

// Error names the status and the gateway's texts.
func (e *APIError) Error() string {
	text := fmt.Sprintf("the gateway answered %d", e.Status)
	if name := http.StatusText(e.Status); name != "" {
		text += " " + name
	}
	if len(e.Messages) > 0 {
		text += ": " + strings.Join(e.Messages, " ")
	}
	return text
}

// Is tells which of the package's reasons the status stands for.
func (e *APIError) Is(target error) bool {
	switch target {
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrUnsupported:
		return e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotImplemented
	}
	return false
}

// clean makes texts of a gateway fit for an error: few, short, printable, and without the given secrets.
func clean(texts []string, secrets ...string) []string {
	var cleaned []string
	for _, text := range texts {
		if len(cleaned) == maxMessages {
			break
		}
		for _, secret := range secrets {
			if secret != "" {
				text = strings.ReplaceAll(text, secret, "[redacted]")
			}
		}
		text = strings.TrimSpace(strings.Map(printable, text))
		if runes := []rune(text); len(runes) > maxMessageRunes {
			text = string(runes[:maxMessageRunes-1]) + "…"
		}
		if text != "" {
			cleaned = append(cleaned, text)
		}
	}
	return cleaned
}

// printable keeps printable characters and turns every other into a space.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}
