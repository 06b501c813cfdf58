// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryDomainAliasHostAndPassphraseIsSafe(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		spec := `
hostAliases: [{ip: "2001:db8::1", hostnames: [` + quoteYAML("$(touch pwned)") + `]}]
domains:
  - name: -Domain_1.x
    settings: {passphrase: {secret: passphrase}}
    passwordMap:
`
		contents := with(adminSecret, map[string]content{"secret/passphrase": {"passphrase": nasty[5] + nasty[3] + "\n"}})
		for i, text := range nasty {
			secret := fmt.Sprintf("s%d", i)
			spec += "      - {alias: " + quoteYAML(text) + ", secret: " + secret + "}\n"
			contents["secret/"+secret] = content{"password": text}
		}
		c := newContainer(t, shell, spec, contents)
		c.mustRun()
		domain := c.read(drouter + "/config/-Domain_1.x/-Domain_1.x.cfg")
		assert.Contains(t, domain, "\n  passphrase "+quoteCfg(nasty[5]+nasty[3])+"\n")
		for _, text := range nasty {
			assert.Contains(t, domain, "\npassword-alias "+quoteCfg(text)+"\n  password "+quoteCfg(text)+"\nexit\n")
		}
		startup := c.read(drouter + "/config/auto-startup.cfg")
		assert.Contains(t, startup, "\ndomain \"-Domain_1.x\"\n  base-dir \"local:\"\n  base-dir \"-Domain_1.x:\"\n"+
			"  config-file \"-Domain_1.x.cfg\"\n  visible-domain \"default\"\nexit\n")
		assert.Contains(t, startup, "\n  static-host \"$(touch pwned)\" \"2001:db8::1\"\n")
		assertNothingHappened(t, c)
	})
}

func TestStartUpConfigurationOfTheDefaultDomain(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		c := newContainer(t, shell, `
cryptoMode: fips-140-3-l1
rbm: {passwordHashAlgorithm: sha256}
snmp: {config: {port: 162}}
healthCheckListener: false
hostAliases:
  - {ip: 192.0.2.1, hostnames: [one, uno]}
  - {ip: 192.0.2.2, hostnames: [two]}
domains:
  - name: shop
  - name: default
    settings: {passphrase: {generate: true}}
    dpApp: {config: [web, more]}
`, with(adminSecret, map[string]content{
			"secret/gw-default-passphrase": {"passphrase": "open sesame"},
			"configmap/web":                {"b.cfg": "from b", "a.cfg": "from a\n", ".hidden.cfg": "from hidden\n"},
			"configmap/more":               {"z.cfg": "from z\n"},
		}))
		c.mustRun()
		assert.Equal(t, blockBegin+`top; configure terminal;

exec "config:///auto-user.cfg"

%if% available "rbm"
rbm
  password-hash-algorithm sha256crypt
exit
%endif%

crypto
  crypto-mode-set fips-140-3-l1
exit

%if% available "dns"
dns
  admin-state enabled
  static-host "one" "192.0.2.1"
  static-host "uno" "192.0.2.1"
  static-host "two" "192.0.2.2"
exit
%endif%

%if% available "snmp"
snmp
  admin-state enabled
  version 2c
  ip-address 0.0.0.0
  port 162
  community "public" "default" "read-only" "0.0.0.0/0"
exit
%endif%

domain "shop"
  base-dir "local:"
  base-dir "shop:"
  config-file "shop.cfg"
  visible-domain "default"
exit

%if% available "domain-settings"
domain-settings
  admin-state enabled
  password-treatment masked
  passphrase "open sesame"
exit
%endif%

from a
from b
from hidden

from z
`+blockEnd, c.read(drouter+"/config/auto-startup.cfg"))
		assert.Equal(t, blockBegin+"top; configure terminal;\n"+blockEnd, c.read(drouter+"/config/shop/shop.cfg"))
	})
}

func TestTheHealthCheckListensOnTheProbePort(t *testing.T) {
	c := newContainer(t, shells["dash"], `healthCheck: {probe: {port: 8000}, logLevel: panic}`, adminSecret)
	c.mustRun()
	startup := c.read(drouter + "/config/auto-startup.cfg")
	assert.Contains(t, startup, "\n  port 8000\n")
	assert.Contains(t, startup, "\nlogging event default-log \"datapower-operator\" \"alert\"\n")
	assert.NotContains(t, startup, "@")
	assert.Contains(t, c.read(drouter+"/local/datapower-operator/health-check.js"), "session.output.write")
}

func TestFilesOfTheDomains(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		c := newContainer(t, shell, `
domains:
  - name: default
    certs:
      - {certType: usrcerts, secret: one}
      - {certType: usrcerts, secret: two, subPath: deep/er}
      - {certType: sharedcerts, secret: three}
    dpApp: {local: [files]}
  - name: Shop
    certs:
      - {certType: usrcerts, secret: one}
      - {certType: usrcerts, secret: two, subPath: "odd $(x)"}
    dpApp: {local: [first, second]}
`, with(adminSecret, map[string]content{
			"secret/one":       {"tls.crt": "one crt", "tls.key": "one key"},
			"secret/two":       {".hidden": "two"},
			"secret/three":     {"ca.pem": "three"},
			"configmap/files":  {"x.tgz": archive(t, member{name: "./"}, member{name: "./a b.xsl", text: "default"})},
			"configmap/first":  {"x.tar.gz": archive(t, member{name: "same", text: "first", mode: 0o444}, member{name: "d/only", text: "only"})},
			"configmap/second": {"x.tar.gz": archive(t, member{name: "same", text: "second"}, member{name: "-dash", text: "dash"})},
		}))
		for range 2 { // a restart on the same volumes must work too
			c.mustRun()
		}
		assert.Equal(t, "one crt", c.read(secure+"/usrcerts/tls.crt"))
		assert.Equal(t, "two", c.read(secure+"/usrcerts/deep/er/.hidden"))
		assert.Equal(t, "three", c.read(secure+"/sharedcerts/ca.pem"))
		assert.Equal(t, "one key", c.read(secure+"/usrcerts/Shop/tls.key"))
		assert.Equal(t, "two", c.read(secure+"/usrcerts/Shop/odd $(x)/.hidden"))
		assert.Equal(t, "default", c.read(drouter+"/local/a b.xsl"))
		assert.Equal(t, "second", c.read(drouter+"/local/Shop/same"), "the last one wins")
		assert.Equal(t, "only", c.read(drouter+"/local/Shop/d/only"))
		assert.Equal(t, "dash", c.read(drouter+"/local/Shop/-dash"))
		assert.Len(t, c.files(secure), 7)
		info, err := os.Stat(c.path(secure + "/usrcerts/tls.key"))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o660), info.Mode())
	})
}

func TestDangerousArchivesAreRefusedWhole(t *testing.T) {
	fine := member{name: "fine", text: "fine"}
	for name, c := range map[string]struct{ archive, want string }{
		"an absolute path":         {archive(t, fine, member{name: "/etc/owned", text: "x"}), "has a member with an absolute path or .."},
		"a parent at the start":    {archive(t, fine, member{name: "../owned", text: "x"}), "has a member with an absolute path or .."},
		"a parent in the middle":   {archive(t, fine, member{name: "a/../../owned", text: "x"}), "has a member with an absolute path or .."},
		"a parent at the end":      {archive(t, fine, member{name: "a/.."}), "has a member with an absolute path or .."},
		"a link out of the folder": {archive(t, fine, member{name: "l", link: "/etc"}), "has a member that is neither a file nor a folder"},
		"a link inside":            {archive(t, fine, member{name: "l", link: "fine"}), "has a member that is neither a file nor a folder"},
		"no archive":               {"just text", "is no gzip'd tar archive"},
		"half an archive":          {archive(t, fine)[:40], "is no gzip'd tar archive"},
	} {
		t.Run(name, func(t *testing.T) {
			box := newContainer(t, shells["dash"], `domains: [{name: a}, {name: shop, dpApp: {local: [files]}}]`,
				with(adminSecret, map[string]content{"configmap/files": {"x.tgz": c.archive}}))
			assert.Contains(t, box.mustFail(), "error: spec.domains[1].dpApp.local[0]: x.tgz "+c.want)
			assert.Empty(t, box.files(drouter+"/local/shop"))
			for _, file := range box.files("/") {
				assert.NotEqual(t, "owned", filepath.Base(file))
			}
		})
	}
}

func TestAFileNameWithDotsIsNoParent(t *testing.T) {
	c := newContainer(t, shells["dash"], `domains: [{name: shop, dpApp: {local: [files]}}]`,
		with(adminSecret, map[string]content{"configmap/files": {"x.tgz": archive(t, member{name: "..a/b..", text: "fine"})}}))
	c.mustRun()
	assert.Equal(t, "fine", c.read(drouter+"/local/shop/..a/b.."))
}

func TestMissingKeysOfDomainSecretsAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		spec, want string
		secret     content
	}{
		"a passphrase without its key": {`domains: [{name: shop, passphraseSecret: s}]`,
			`error: passphrase of domain "shop": its Secret has no key passphrase`, content{"password": "TOPSECRET"}},
		"an alias without its key": {`domains: [{name: shop, passwordMap: [{alias: ldap, secret: s}]}]`,
			`error: password alias "ldap" of domain "shop": its Secret has no key password`, content{"passphrase": "TOPSECRET"}},
		"an alias with a line break": {`domains: [{name: shop, passwordMap: [{alias: ldap, secret: s}]}]`,
			`error: password alias "ldap" of domain "shop": the value in its Secret has control characters`, content{"password": "TOP\nSECRET"}},
	} {
		t.Run(name, func(t *testing.T) {
			box := newContainer(t, shells["dash"], c.spec, with(adminSecret, map[string]content{"secret/s": c.secret}))
			output := box.mustFail()
			assert.Contains(t, output, c.want)
			assert.NotContains(t, output, "SECRET")
		})
	}
}

func TestConfigurationOnPersistentStorageSurvivesRestarts(t *testing.T) {
	eachShell(t, func(t *testing.T, shell []string) {
		spec := `domains: [{name: default, dpApp: {config: [web]}}, {name: shop, dpApp: {config: [shop]}}]`
		contents := with(adminSecret, map[string]content{"configmap/web": {"w": "first web"}, "configmap/shop": {"s": "first shop\n"}})
		c := newContainer(t, shell, spec, contents)
		config := drouter + "/config/"
		c.write(config+"auto-startup.cfg", "# saved by the gateway\nweb-mgmt\n  port 1\nexit") // no line break at the end
		c.write(config+"shop/shop.cfg", "mine\n")
		c.write(config+"shop/extra.cfg", "extra\n")
		c.write(config+"other/other.cfg", "other\n")
		c.write(drouter+"/local/shop/mine.xsl", "mine\n")
		c.mustRun()
		once := c.read(config + "auto-startup.cfg")
		assert.True(t, strings.HasPrefix(once, "# saved by the gateway\nweb-mgmt\n  port 1\nexit\n"+blockBegin))
		c.mustRun()
		assert.Equal(t, once, c.read(config+"auto-startup.cfg"), "a restart changes nothing")

		contents["configmap/web"], contents["configmap/shop"] = content{"w": "second web"}, content{"s": "second shop"}
		c.write(config+"auto-startup.cfg", once+"# added by hand\n")
		c.mount(spec, contents)
		c.mustRun()
		startup := c.read(config + "auto-startup.cfg")
		assert.Contains(t, startup, "# saved by the gateway\n")
		assert.Contains(t, startup, "# added by hand\n")
		assert.Contains(t, startup, "second web\n")
		assert.NotContains(t, startup, "first web")
		assert.Equal(t, 1, strings.Count(startup, blockBegin))
		assert.Equal(t, "mine\n"+blockBegin+"top; configure terminal;\n\nsecond shop\n"+blockEnd, c.read(config+"shop/shop.cfg"))
		assert.Equal(t, "extra\n", c.read(config+"shop/extra.cfg"))
		assert.Equal(t, "other\n", c.read(config+"other/other.cfg"))
		assert.Equal(t, "mine\n", c.read(drouter+"/local/shop/mine.xsl"))
	})
}

func TestTheMarksOfTheBlockInUserFilesAreNotTakenForIt(t *testing.T) {
	c := newContainer(t, shells["dash"], `domains: [{name: shop, dpApp: {config: [shop]}}]`,
		with(adminSecret, map[string]content{"configmap/shop": {"s": "before\n" + blockEnd + "after\n" + blockBegin + "last\n"}}))
	for range 2 {
		c.mustRun()
		assert.Equal(t, blockBegin+"top; configure terminal;\n\nbefore\nafter\nlast\n"+blockEnd, c.read(drouter+"/config/shop/shop.cfg"))
	}
}

func TestTemporaryConfigurationIsCleaned(t *testing.T) {
	c := newContainer(t, shells["dash"], "", adminSecret)
	c.write(drouter+"/temporary/config/old.cfg", "old")
	c.write(drouter+"/temporary/kept", "kept")
	c.mustRun()
	assert.Equal(t, []string{"kept"}, c.files(drouter+"/temporary"))
}
