package crypt

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The expected hashes were made by openssl passwd and by libc's crypt, not by this package.
func TestKnownHashes(t *testing.T) {
	const long = "0123456789abcdef0123456789abcdef0123456789abcdefX"
	tests := []struct{ name, method, salt, password, hash string }{
		{"md5 with the default salt", MD5, "12345678", "helloworld", "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/"},
		{"sha256 with a short salt", SHA256, "NaCl", "hunter2", "$5$NaCl$aOrRVimQNvZ2ZLjnAyMvT3WgaUEXoWgwkgyBrhwIg04"},
		{"md5 of nothing", MD5, "a", "", "$1$a$8CfZSfErbeskipdhZHtvu."},
		{"md5 of one character", MD5, "saltsalt", "x", "$1$saltsalt$4px9i58NU2Z2/vZOUlGjq."},
		{"md5 of a long password", MD5, "12345678", long, "$1$12345678$TgGO5tPjQcw9g0JZnxa2L."},
		{"md5 cuts the salt", MD5, "12345678andmore", "helloworld", "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/"},
		{"sha256 cuts the salt", SHA256, "saltstringsaltstring", "Hello world!", "$5$saltstringsaltst$a5C8Ofk71MUIoKve2QuP9FMl.dwNgseF5tR1LGAL7iB"},
		{"sha256 of a long password", SHA256, "x", long, "$5$x$6rTFZ2IeE2yemJYaG4HiZmmGWCd094lagCt1Wuojas."},
		{"sha256 of UTF-8", SHA256, ".", "ä€", "$5$.$TjqehDuMlKMW8YadY.Qs.GdJhfEFC2F5voC4MZxZEDB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hash, err := Hash(test.method, test.salt, test.password)
			require.NoError(t, err)
			assert.Equal(t, test.hash, hash)

			right, err := Verify(test.hash, test.password)
			require.NoError(t, err)
			assert.True(t, right)
			wrong, err := Verify(test.hash, test.password+"x")
			require.NoError(t, err)
			assert.False(t, wrong)
		})
	}
}

func TestVerifyCountsRounds(t *testing.T) {
	const password = "a very much longer text to encrypt.  This one even stretches over more than one line."
	right, err := Verify("$5$rounds=1400$anotherlongsalts$epZZlHtH1tHOZ8DnGj41SJcfP6bNgf3t.hurPudKyU6", password)
	require.NoError(t, err)
	assert.True(t, right)
}

func TestOtherHashesAreRefused(t *testing.T) {
	for _, hash := range []string{"", "plain", "$1$", "$2y$10$abc", "$6$salt$digest", "$5$rounds=many$salt$digest", "x$1$salt$digest"} {
		_, err := Verify(hash, "password")
		require.ErrorIs(t, err, ErrHash, hash)
	}
	_, err := Hash("sha512", "salt", "password")
	require.ErrorIs(t, err, ErrHash)
}
