// Package crypt makes and checks the password hashes of DataPower users: crypt(3) with MD5 ($1$) and SHA-256 ($5$), as
// glibc does. https://www.akkadia.org/drepper/SHA-crypt.txt specifies the latter.
package crypt

import (
	"crypto/md5" //nolint:gosec // the gateway's default method
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// Methods of hashing, in DataPower's spelling.
const (
	MD5    = "md5"
	SHA256 = "sha256"
)

// ErrHash says that a hash is not one of a known method.
var ErrHash = errors.New("not a crypt(3) hash of a known method")

const (
	maxSaltMD5    = 8
	maxSaltSHA256 = 16
	defaultRounds = 5000
	minRounds     = 1000
	maxRounds     = 999_999_999
	alphabet      = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// Hash returns the hash of a password. A salt that is too long for the method is cut.
func Hash(method, salt, password string) (string, error) {
	switch method {
	case MD5:
		salt = cut(salt, maxSaltMD5)
		return "$1$" + salt + "$" + digestMD5(salt, password), nil
	case SHA256:
		salt = cut(salt, maxSaltSHA256)
		return "$5$" + salt + "$" + digestSHA256(salt, password, defaultRounds), nil
	}
	return "", fmt.Errorf("%w: method %q", ErrHash, method)
}

// Verify tells whether a hash is that of a password.
func Verify(hashed, password string) (bool, error) {
	parts := strings.Split(hashed, "$")
	var digest string
	switch {
	case len(parts) == 4 && parts[0] == "" && parts[1] == "1":
		digest = digestMD5(cut(parts[2], maxSaltMD5), password)
	case len(parts) == 4 && parts[0] == "" && parts[1] == "5":
		digest = digestSHA256(cut(parts[2], maxSaltSHA256), password, defaultRounds)
	case len(parts) == 5 && parts[0] == "" && parts[1] == "5" && strings.HasPrefix(parts[2], "rounds="):
		rounds, err := strconv.Atoi(strings.TrimPrefix(parts[2], "rounds="))
		if err != nil {
			return false, fmt.Errorf("%w: its rounds are no number", ErrHash)
		}
		digest = digestSHA256(cut(parts[3], maxSaltSHA256), password, min(max(rounds, minRounds), maxRounds))
	default:
		return false, ErrHash
	}
	return subtle.ConstantTimeCompare([]byte(digest), []byte(parts[len(parts)-1])) == 1, nil
}

func cut(text string, length int) string { return text[:min(len(text), length)] }

// digestMD5 is the digest of the MD5 method, which Poul-Henning Kamp designed for FreeBSD.
func digestMD5(salt, password string) string {
	inner := sum(md5.New(), password, salt, password)
	outer := md5.New() //nolint:gosec // see above
	write(outer, password, "$1$", salt, repeat(inner, len(password)))
	for bits := len(password); bits > 0; bits >>= 1 {
		if bits&1 == 1 {
			write(outer, "\x00")
		} else {
			write(outer, password[:1])
		}
	}
	digest := string(outer.Sum(nil))
	for round := range 1000 {
		digest = nextRound(md5.New(), round, digest, password, salt)
	}
	return encode(digest, [][3]int{{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}, {-1, -1, 11}}, 2)
}

// digestSHA256 is the digest of the SHA-256 method.
func digestSHA256(salt, password string, rounds int) string {
	inner := sum(sha256.New(), password, salt, password)
	outer := sha256.New()
	write(outer, password, salt, repeat(inner, len(password)))
	for bits := len(password); bits > 0; bits >>= 1 {
		if bits&1 == 1 {
			write(outer, inner)
		} else {
			write(outer, password)
		}
	}
	digest := string(outer.Sum(nil))
	stretched := repeat(sum(sha256.New(), strings.Repeat(password, len(password))), len(password))
	salted := repeat(sum(sha256.New(), strings.Repeat(salt, 16+int(digest[0]))), len(salt))
	for round := range rounds {
		digest = nextRound(sha256.New(), round, digest, stretched, salted)
	}
	groups := [][3]int{
		{0, 10, 20}, {21, 1, 11}, {12, 22, 2}, {3, 13, 23}, {24, 4, 14}, {15, 25, 5}, {6, 16, 26}, {27, 7, 17}, {18, 28, 8},
		{9, 19, 29}, {-1, 31, 30},
	}
	return encode(digest, groups, 3)
}

// nextRound mixes a digest once more. Both methods do it alike.
func nextRound(h hash.Hash, round int, digest, password, salt string) string {
	odd := round%2 == 1
	if odd {
		write(h, password)
	} else {
		write(h, digest)
	}
	if round%3 != 0 {
		write(h, salt)
	}
	if round%7 != 0 {
		write(h, password)
	}
	if odd {
		write(h, digest)
	} else {
		write(h, password)
	}
	return string(h.Sum(nil))
}

func write(h hash.Hash, parts ...string) {
	for _, part := range parts {
		_, _ = h.Write([]byte(part)) // a hash never fails
	}
}

func sum(h hash.Hash, parts ...string) string {
	write(h, parts...)
	return string(h.Sum(nil))
}

// repeat returns the first bytes of a digest that is repeated as often as that takes.
func repeat(digest string, length int) string {
	return strings.Repeat(digest, length/len(digest)+1)[:length]
}

// encode writes a digest in crypt's base 64. Each group names three bytes, most significant first, -1 standing for zero,
// and gives four characters; the last group gives only some.
func encode(digest string, groups [][3]int, last int) string {
	var encoded strings.Builder
	for i, group := range groups {
		value := 0
		for _, index := range group {
			value <<= 8
			if index >= 0 {
				value |= int(digest[index])
			}
		}
		characters := 4
		if i == len(groups)-1 {
			characters = last
		}
		for range characters {
			encoded.WriteByte(alphabet[value&63])
			value >>= 6
		}
	}
	return encoded.String()
}
