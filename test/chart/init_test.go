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
)

// The block that the init script owns in a file.
const (
	blockBegin = "# BEGIN datapower-operator (replaced at every start)\n"
	blockEnd   = "# END datapower-operator\n"
)

// nasty are texts that break scripts which quote badly. DataPower's language cannot hold line breaks, so none has one.
var nasty = []string{
	"plain", "with space", " leading and trailing ", `quote"s`, "apostrophe's", "$(touch pwned)", "`touch pwned`", "${HOME}",
	"$1", "%s%n%d%%", ";touch pwned", "&& touch pwned", "|cat", "> pwned", "*", "?", "[a-z]", "~", "-n", "--help", "-",
	`back\slash`, `\n\t\0`, `\\`, "#comment", "!bang", "Müller", "密码", "🔑", "a=b", "{a,b}", "<&2", "%if% available", "'; --",
	"\u00a0", "é\u0301",
}

var adminSecret = map[string]content{"secret/admin-credentials": {"password": "helloworld"}}

func with(contents map[string]content, more map[string]content) map[string]content {
	merged := map[string]content{}
	for _, source := range []map[string]content{contents, more} {
		for name, data := range source {
			merged[name] = data
		}
	}
	return merged
}

func TestShellcheckFindsNothing(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("this machine has no shellcheck")
	}
	output, err := exec.Command("shellcheck", "--shell=sh", filepath.Join(chartFolder, "files", "init.sh")).CombinedOutput()
	assert.NoError(t, err, "%s", output)
}

func TestTheScriptStartsTheGatewayAsItFoundTheEnvironment(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		c := newContainer(t, shell, `startCommand: [/start.sh, "-a b", ""]`, adminSecret)
		c.mustRun()
		assert.Contains(t, c.output, "started with 2 arguments, umask 0022, LC_ALL=unset")
		c.environment["LC_ALL"] = "C.UTF-8"
		c.mustRun()
		assert.Contains(t, c.output, "LC_ALL=C.UTF-8")
	})
}

// assertNothingHappened checks that no nasty text was run: each would make a file named pwned.
func assertNothingHappened(t *testing.T, c *container) {
	t.Helper()
	for _, file := range c.files("/") {
		assert.NotEqual(t, "pwned", filepath.Base(file))
	}
	assert.NoFileExists(t, "pwned")
}

func quoteYAML(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func quoteCfg(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

func TestInitCommandsRunInOrderWithTheExtraExecutables(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		c := newContainer(t, shell, `
extraExe: [tools, more]
initCmds:
  - 'echo "one: $(tool)"; umask'
  - |
    cat # reads nothing: the terminal belongs to the gateway
    echo 'two: %d $HOME'
`, with(adminSecret, map[string]content{
			"configmap/tools": {"tool": "#!/bin/sh\necho old tool\n"},
			"configmap/more":  {"tool": "#!/bin/sh\necho a tool\n"},
		}))
		c.mustRun()
		assert.Equal(t, "one: a tool\n0022\ntwo: %d $HOME\nstarted with 0 arguments, umask 0022, LC_ALL=unset, typed hello\n", c.output)
	})
}

func TestAFailingInitCommandStopsThePodAndIsNamed(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		c := newContainer(t, shell, `initCmds: ["echo first", "exit 7", "echo third"]`, adminSecret)
		output := c.mustFail()
		assert.Contains(t, output, "first\ndatapower-operator: error: spec.initCmds[1] failed with status 7\n")
		assert.NotContains(t, output, "third")
	})
}

func TestDebugShowsStepsAndNoSecrets(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		spec := `
users:
  - {name: admin, passwordSecret: clear, accessLevel: privileged}
  - {name: ops, passwordSecret: hashed, accessLevel: privileged}
domains:
  - name: default
    settings: {passphrase: {secret: phrase}}
  - name: shop
    certs: [{certType: usrcerts, secret: cert}]
    passphraseSecret: phrase
    passwordMap: [{alias: ldap, secret: clear}]
`
		contents := map[string]content{
			"secret/clear": {"password": "TOPSECRET1"}, "secret/hashed": {"password-hashed": "$1$TOPSECRET2$x"},
			"secret/phrase": {"passphrase": "TOPSECRET3"}, "secret/cert": {"tls.key": "TOPSECRET4"},
		}
		for _, hashers := range []string{"openssl", "shell"} {
			c := newContainer(t, shell, spec+"debug: true", contents)
			c.environment["HASHERS"] = hashers
			c.mustRun()
			assert.Contains(t, c.output, "+ datapower-operator: ")
			assert.Contains(t, c.output, "write_users")
			assert.NotContains(t, c.output, "SECRET")
			assert.NotContains(t, c.output, openssl(t, "-1", "12345678", "TOPSECRET1"))
			assert.NotContains(t, c.output, `\124\117\120`, "the octal form of TOP")
		}
		quiet := newContainer(t, shell, spec, contents)
		quiet.mustRun()
		assert.Equal(t, "started with 0 arguments, umask 0022, LC_ALL=unset, typed hello\n", quiet.output)
	})
}

func TestNothingIsLeftBehind(t *testing.T) {
	for name, spec := range map[string]string{"on success": "", "on failure": `initCmds: ["false"]`} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, shells["dash"], spec, adminSecret)
			work := t.TempDir()
			c.environment["TMPDIR"] = work
			_ = c.run()
			left, err := os.ReadDir(work)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

func TestTheScriptNeedsAStartProgram(t *testing.T) {
	c := newContainer(t, shells["dash"], "", adminSecret)
	output, err := exec.Command("dash", c.path(c.command[1])).CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(output), "usage: init.sh START-PROGRAM")
}

func TestTheScriptWorksWithNothingButBusybox(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("this machine has no busybox")
	}
	programs := t.TempDir()
	require.NoError(t, exec.Command(busybox, "--install", "-s", programs).Run())
	c := newContainer(t, []string{filepath.Join(programs, "ash")}, `
initCmds: [echo done]
domains:
  - {name: default, certs: [{certType: usrcerts, secret: cert}], dpApp: {config: [web], local: [files]}}`,
		with(adminSecret, map[string]content{
			"secret/cert": {"a.pem": "pem"}, "configmap/web": {"w.cfg": "web"},
			"configmap/files": {"x.tgz": archive(t, member{name: "a/b", text: "b"})},
		}))
	c.environment["PATH"] = programs
	for range 2 {
		c.mustRun()
	}
	assert.Contains(t, c.output, "done\n")
	assert.Contains(t, c.read(drouter+"/config/auto-user.cfg"), "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/")
	assert.Contains(t, c.read(drouter+"/config/auto-startup.cfg"), "\n\nweb\n"+blockEnd)
	assert.Equal(t, "b", c.read(drouter+"/local/a/b"))
	assert.Equal(t, "pem", c.read(secure+"/usrcerts/a.pem"))

	t.Run("an archive that reaches outside writes nothing outside", func(t *testing.T) {
		c.mount(`domains: [{name: default, dpApp: {local: [files]}}]`, with(adminSecret, map[string]content{
			"configmap/files": {"x.tgz": archive(t, member{name: "../../owned", text: "x"}, member{name: "/owned", text: "x"})},
		}))
		_ = c.run() // busybox cuts such paths before the script sees them, so this may succeed
		assert.NoFileExists(t, c.path("/opt/ibm/owned"))
		assert.NoFileExists(t, "/owned")
	})
}
