package peering

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
)

// Login is a user of the gateways of a service.
type Login struct {
	// Name is the user's name, Secret the name of the password Secret.
	Name, Secret string
	// Privileged says that the user may do everything.
	Privileged bool
}

// Keys of a password Secret, as the DataPowerService documents them.
const (
	keyPassword = "password"
	keyHashed   = "password-hashed"
)

// credentials are what a client logs in with.
type credentials struct{ name, password string }

// login finds the first user with a password in clear text, the privileged ones first.
func (g RestGateways) login(ctx context.Context, service Service) (credentials, error) {
	logins, err := g.Access.Logins(ctx, service)
	if err != nil {
		return credentials{}, connectError(ReasonCredentialsMissing, err, "reading the users of the service: "+err.Error(), remedyLogin)
	}
	logins = slices.Clone(logins)
	slices.SortStableFunc(logins, func(a, b Login) int { return boolFirst(a.Privileged, b.Privileged) })
	hashed := false
	var reasons []string
	for _, login := range logins {
		data, err := g.Access.Secret(ctx, service, login.Secret)
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("Secret %s of user %q: %v", login.Secret, login.Name, err))
			continue
		}
		password, problem := passwordOf(data)
		if problem == "" {
			return credentials{login.Name, password}, nil
		}
		hashed = hashed || problem == hashedOnly
		reasons = append(reasons, fmt.Sprintf("Secret %s of user %q %s", login.Secret, login.Name, problem))
	}
	message := "no user of the service can log in: " + strings.Join(reasons, "; ")
	if hashed {
		return credentials{}, connectError(ReasonPasswordHashed, nil, message, remedyLogin)
	}
	return credentials{}, connectError(ReasonCredentialsMissing, nil, message, remedyLogin)
}

const (
	remedyLogin = "Give a user with accessLevel privileged in spec.users of the DataPowerService a passwordSecret with the key " +
		"password in clear text; a password-hashed beside it must be of the same password"
	hashedOnly = "has only password-hashed, from which nobody can tell the password"
)

// passwordOf reads a password as the chart's init script does: without the line breaks at its end. It tells what is wrong
// with it.
func passwordOf(data map[string][]byte) (password, problem string) {
	value := string(bytes.TrimRight(data[keyPassword], "\n"))
	switch {
	case data == nil:
		return "", "does not exist"
	case value != "" && strings.ContainsFunc(value, isControl):
		return "", "has a password with control characters"
	case value != "":
		return value, ""
	case len(data[keyHashed]) > 0:
		return "", hashedOnly
	}
	return "", "has no password"
}

// isControl tells whether a character is a control character of ASCII.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }
