// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUsersFileHasTheDocumentedForm(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		c := newContainer(t, shell, `
users:
  - {name: admin, passwordSecret: admin-credentials, accessLevel: privileged}
  - {name: hunter, passwordSecret: hunter, accessLevel: group-defined, group: read only}
  - {name: ready, passwordSecret: ready, accessLevel: privileged}
`, with(adminSecret, map[string]content{
			"secret/hunter": {"password": "hunter2\n", "salt": "NaCl\n", "method": "sha256"},
			"secret/ready":  {"password-hashed": "$5$abc$def.XYZ/0", "password": "not this"},
		}))
		c.mustRun()
		assert.Equal(t, blockBegin+`top; configure terminal;

%if% available "user"

user "admin"
  summary "Managed by datapower-operator"
  password-hashed "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/"
  access-level privileged
  suppress-password-change on
exit

user "hunter"
  summary "Managed by datapower-operator"
  password-hashed "$5$NaCl$aOrRVimQNvZ2ZLjnAyMvT3WgaUEXoWgwkgyBrhwIg04"
  access-level group-defined
  group "read only"
  suppress-password-change on
exit

user "ready"
  summary "Managed by datapower-operator"
  password-hashed "$5$abc$def.XYZ/0"
  access-level privileged
  suppress-password-change on
exit

%endif%
`+blockEnd, c.read(drouter+"/config/auto-user.cfg"))
		info, err := os.Stat(c.path(drouter + "/config/auto-user.cfg"))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o660), info.Mode())
	})
}

func TestTheHashMethodComesFromTheSecretThenTheSpecThenMD5(t *testing.T) {
	for name, c := range map[string]struct {
		spec   string
		secret content
		prefix string
	}{
		"the default":                     {``, content{"password": "p"}, "$1$12345678$"},
		"the spec":                        {`rbm: {passwordHashAlgorithm: sha256}`, content{"password": "p"}, "$5$12345678$"},
		"the Secret":                      {`rbm: {passwordHashAlgorithm: sha256}`, content{"password": "p", "method": "md5"}, "$1$12345678$"},
		"FIPS":                            {`cryptoMode: fips-140-3-l1`, content{"password": "p"}, "$5$12345678$"},
		"a salt that is too long for MD5": {``, content{"password": "p", "salt": "abcdefghijk"}, "$1$abcdefgh$"},
	} {
		t.Run(name, func(t *testing.T) {
			box := newContainer(t, shells["dash"], c.spec, map[string]content{"secret/admin-credentials": c.secret})
			box.mustRun()
			assert.Contains(t, box.read(drouter+"/config/auto-user.cfg"), `password-hashed "`+c.prefix)
		})
	}
}

func TestABadPasswordSecretIsNamedWithoutItsContent(t *testing.T) {
	for name, c := range map[string]struct {
		secret content
		want   string
	}{
		"no key":                {content{"pass": "TOPSECRET"}, "the password Secret has neither password-hashed nor password"},
		"an empty password":     {content{"password": ""}, "the password Secret has neither password-hashed nor password"},
		"only a line break":     {content{"password": "\n"}, "password of the password Secret is empty or has control characters"},
		"a line break":          {content{"password": "TOP\nSECRET"}, "password of the password Secret is empty or has control characters"},
		"a bad hash":            {content{"password-hashed": "TOPSECRET"}, "password-hashed of the password Secret is no crypt(3) hash"},
		"a hash with a quote":   {content{"password-hashed": `$1$"TOPSECRET`}, "password-hashed of the password Secret is no crypt(3) hash"},
		"an unknown method":     {content{"password": "TOPSECRET", "method": "TOPSECRET"}, "method of the password Secret must be md5 or sha256"},
		"a salt with a dollar":  {content{"password": "TOPSECRET", "salt": "a$b"}, "salt of the password Secret may only have letters, digits, . and /"},
		"a salt with a command": {content{"password": "TOPSECRET", "salt": "$(id)"}, "salt of the password Secret may only have letters, digits, . and /"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, debug := range []string{"", "debug: true"} {
				box := newContainer(t, shells["dash"], debug, map[string]content{"secret/admin-credentials": c.secret})
				output := box.mustFail()
				assert.Contains(t, output, `error: user "admin": `+c.want)
				assert.NotContains(t, output, "SECRET")
				assert.NoFileExists(t, box.path(drouter+"/config/auto-user.cfg"))
			}
		})
	}
}

func TestEveryNameAndPasswordIsSafe(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		spec := "initCmds: [\"true\"]\nusers:\n"
		contents := map[string]content{}
		for i, text := range nasty {
			secret := fmt.Sprintf("s%d", i)
			spec += fmt.Sprintf("  - {name: %[1]s, passwordSecret: %[2]s, accessLevel: group-defined, group: %[1]s}\n", quoteYAML(text), secret)
			contents["secret/"+secret] = content{"password": text}
		}
		c := newContainer(t, shell, spec, contents)
		c.mustRun()
		users := c.read(drouter + "/config/auto-user.cfg")
		for _, text := range nasty {
			assert.Contains(t, users, "\nuser "+quoteCfg(text)+"\n")
			assert.Contains(t, users, "\n  group "+quoteCfg(text)+"\n")
			assert.Contains(t, users, openssl(t, "-1", "12345678", text))
		}
		assertNothingHappened(t, c)
	})
}

// openssl is the hash that openssl computes. Without openssl there is nothing to compare with.
func openssl(t testing.TB, method, salt, password string) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("this machine has no openssl")
	}
	command := exec.Command("openssl", "passwd", method, "-salt", salt, "-stdin")
	command.Stdin = strings.NewReader(password + "\n")
	output, err := command.Output()
	require.NoError(t, err)
	return strings.TrimSuffix(string(output), "\n")
}

func TestAUserThatLeavesTheSpecIsDeletedAndAUserOfTheGatewayStays(t *testing.T) {
	two := `users: [{name: admin, passwordSecret: admin-credentials, accessLevel: privileged},
  {name: "gone $(x)", passwordSecret: admin-credentials, accessLevel: privileged}]`
	c := newContainer(t, shells["dash"], two, adminSecret)
	file := drouter + "/config/auto-user.cfg"
	c.write(file, "user \"made in the web interface\"\nexit\n")
	c.mustRun()
	assert.NotContains(t, c.read(file), "no user")
	c.mount("", adminSecret)
	c.mustRun()
	users := c.read(file)
	assert.Contains(t, users, "user \"made in the web interface\"\nexit\n")
	assert.Contains(t, users, "\nno user \"gone $(x)\"\n")
	assert.NotContains(t, users, "no user \"admin\"")
	assert.Equal(t, "admin\n", c.read(drouter+"/config/.datapower-operator-users"))
}
