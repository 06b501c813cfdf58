// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// hash runs the init script's crypt_password with some of its implementations.
func hash(t testing.TB, shell []string, hashers, method, salt, password string) (string, error) {
	t.Helper()
	script, err := filepath.Abs(filepath.Join(chartFolder, "files", "init.sh"))
	require.NoError(t, err)
	arguments := append(append([]string{}, shell[1:]...), "-c", `. "$0"; crypt_password "$1" "$2" "$3"`, script, method, salt, password)
	command := exec.Command(shell[0], arguments...)
	command.Env = append(os.Environ(), "INIT_LIBRARY=true", "HASHERS="+hashers)
	output, err := command.Output()
	return strings.TrimSuffix(string(output), "\n"), err
}

// Known answers: the first two are documented with the password Secret, the third is from the C library's crypt(3).
var knownHashes = []struct{ method, salt, password, want string }{
	{"md5", "12345678", "helloworld", "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/"},
	{"sha256", "NaCl", "hunter2", "$5$NaCl$aOrRVimQNvZ2ZLjnAyMvT3WgaUEXoWgwkgyBrhwIg04"},
	{"md5", "abcdefgh", "0123456789", "$1$abcdefgh$EhtZsffmx2nsnJ5AH71680"},
}

func TestKnownHashesWithEachImplementation(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		for _, hashers := range []string{"openssl", "cryptpw", "shell", "openssl cryptpw shell"} {
			t.Run(hashers, func(t *testing.T) {
				if hashers == "openssl" {
					_ = openssl(t, "-1", "x", "x") // or skip
				}
				if hashers == "cryptpw" && !hasCryptpw() {
					t.Skip("this machine has no cryptpw")
				}
				for _, known := range knownHashes {
					got, err := hash(t, shell, hashers, known.method, known.salt, known.password)
					require.NoError(t, err)
					assert.Equal(t, known.want, got)
				}
			})
		}
	})
}

func hasCryptpw() bool {
	if _, err := exec.LookPath("cryptpw"); err == nil {
		return true
	}
	applets, err := exec.Command("busybox", "--list").Output()
	return err == nil && strings.Contains("\n"+string(applets), "\ncryptpw\n")
}

func TestTheShellHashesLikeOpenSSL(t *testing.T) {
	// A hash with sha256 takes seconds in the shell.
	methods := map[string]struct {
		flag, salt string
		checks     int
	}{
		"md5": {"-1", `[./0-9A-Za-z]{1,8}`, 4}, "sha256": {"-5", `[./0-9A-Za-z]{1,16}`, 2},
	}
	password := rapid.Custom(func(r *rapid.T) string {
		return strings.NewReplacer("\x00", "a", "\n", "b", "\r", "c").Replace(rapid.StringN(1, 40, 120).Draw(r, "text"))
	})
	for name, method := range methods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range method.checks {
				salt, text := rapid.StringMatching(method.salt).Example(i), password.Example(i)
				got, err := hash(t, shells["dash"], "shell", name, salt, text)
				require.NoError(t, err)
				assert.Equal(t, openssl(t, method.flag, salt, text), got, "salt %q, password %q", salt, text)
			}
		})
	}
}

func TestCryptpwIsAskedWithoutThePasswordAmongItsArguments(t *testing.T) {
	folder := t.TempDir()
	program := `#!/bin/sh
[ "$*" = "-m sha256 -S NaCl -P 0" ] || exit 1
openssl passwd -5 -salt NaCl -stdin
`
	require.NoError(t, os.WriteFile(filepath.Join(folder, "cryptpw"), []byte(program), 0o755))
	_ = openssl(t, "-5", "NaCl", "hunter2") // or skip
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	got, err := hash(t, shells["dash"], "cryptpw", "sha256", "NaCl", "hunter2")
	require.NoError(t, err)
	assert.Equal(t, "$5$NaCl$aOrRVimQNvZ2ZLjnAyMvT3WgaUEXoWgwkgyBrhwIg04", got)
}

func TestLengthsAroundTheBlocksOfTheDigests(t *testing.T) {
	for _, length := range []int{15, 16, 17, 64} {
		text := strings.Repeat("x", length-2) + "%\\"
		got, err := hash(t, shells["dash"], "shell", "md5", "12345678", text)
		require.NoError(t, err)
		assert.Equal(t, openssl(t, "-1", "12345678", text), got, "length %d", length)
	}
}

func TestAPasswordThatOpenSSLWouldCutIsHashedWhole(t *testing.T) {
	long := strings.Repeat("x", 300)
	got, err := hash(t, shells["dash"], "openssl shell", "md5", "12345678", long)
	require.NoError(t, err)
	want, err := hash(t, shells["dash"], "shell", "md5", "12345678", long)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.NotEqual(t, openssl(t, "-1", "12345678", long[:256]), got)
}

func TestAnImplementationThatAnswersOtherwiseIsPassedOver(t *testing.T) {
	for name, program := range map[string]string{
		"it fails":                 "exit 1",
		"it prints nothing":        "exit 0",
		"it prints another method": `echo '$6$12345678$8.nskQfP4gQ8tk5xw6Wa8/'`,
		"it prints another salt":   `echo '$1$87654321$8.nskQfP4gQ8tk5xw6Wa8/'`,
		"it prints too little":     `echo '$1$12345678$8.nskQfP'`,
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(folder, "openssl"), []byte("#!/bin/sh\n"+program+"\n"), 0o755))
			t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
			got, err := hash(t, shells["dash"], "openssl shell", "md5", "12345678", "helloworld")
			require.NoError(t, err)
			assert.Equal(t, "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/", got)
			_, err = hash(t, shells["dash"], "openssl", "md5", "12345678", "helloworld")
			assert.Error(t, err, "with no implementation left the script must not go on")
		})
	}
}
