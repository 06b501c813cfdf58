package cfg

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func opens(name string, args []string) bool {
	return name == "user" || name == "rest-mgmt" || (name == "domain" && len(args) == 1)
}

var parseTests = []struct {
	name string
	text string
	want []Command
}{
	{"nothing", "", nil},
	{
		"the file with users that the v2018 chart writes",
		"top; configure terminal;\n\n# configuration generated\n\n%if% available \"user\"\n\nuser \"admin\"\n" +
			"  summary \"Administrator\"\n  password-hashed \"$1$12345678$kb/Xt/\"\n  access-level privileged\nexit\n\n%endif%\n",
		[]Command{
			{Name: "configure", Args: []string{"terminal"}, Line: 1},
			{Name: "user", Args: []string{"admin"}, Line: 7, Block: []Command{
				{Name: "summary", Args: []string{"Administrator"}, Line: 8},
				{Name: "password-hashed", Args: []string{"$1$12345678$kb/Xt/"}, Line: 9},
				{Name: "access-level", Args: []string{"privileged"}, Line: 10},
			}},
		},
	},
	{
		"a block without indentation and one on a single line",
		"rest-mgmt\nadmin-state enabled\nlocal-address 0.0.0.0 5554\nexit\nuser a; access-level privileged; exit",
		[]Command{
			{Name: "rest-mgmt", Args: []string{}, Line: 1, Block: []Command{
				{Name: "admin-state", Args: []string{"enabled"}, Line: 2},
				{Name: "local-address", Args: []string{"0.0.0.0", "5554"}, Line: 3},
			}},
			{Name: "user", Args: []string{"a"}, Line: 5, Block: []Command{{Name: "access-level", Args: []string{"privileged"}, Line: 5}}},
		},
	},
	{
		"unknown commands with and without a block",
		"timezone \"EST5EDT\"\nsnmp\n  user \"x\"\n  port 1161\nexit\nxmlmgr \"default\"\n",
		[]Command{
			{Name: "timezone", Args: []string{"EST5EDT"}, Line: 1},
			{Name: "snmp", Args: []string{}, Line: 2, Block: []Command{
				{Name: "user", Args: []string{"x"}, Line: 3}, {Name: "port", Args: []string{"1161"}, Line: 4},
			}},
			{Name: "xmlmgr", Args: []string{"default"}, Line: 6},
		},
	},
	{
		"a block in a block that nothing announces, as of crypto",
		"crypto\n  \n%if% available \"cert-monitor\"\n\ncert-monitor\n  poll 1\nexit\n\n%endif%\n\nexit\nuser a\n  group g\nexit\n",
		[]Command{
			{Name: "crypto", Args: []string{}, Line: 1},
			{Name: "cert-monitor", Args: []string{}, Line: 5, Block: []Command{{Name: "poll", Args: []string{"1"}, Line: 6}}},
			{Name: "user", Args: []string{"a"}, Line: 12, Block: []Command{{Name: "group", Args: []string{"g"}, Line: 13}}},
		},
	},
	{
		"a false condition hides, else shows, and they nest",
		"%if% available \"radius\"\nradius\n%if% available \"x\"\nx\n%endif%\n%else%\nno radius\n%endif%\nlast",
		[]Command{{Name: "radius", Args: []string{}, No: true, Line: 7}, {Name: "last", Args: []string{}, Line: 9}},
	},
	{
		"quotes hold blanks and semicolons, a backslash takes the next character",
		`banner "a; b" "" c\ d "say \"hi\" \\"`,
		[]Command{{Name: "banner", Args: []string{"a; b", "", "c d", `say "hi" \`}, Line: 1}},
	},
	{
		"no deletes and opens nothing",
		"no user \"old\"\nno rest-mgmt\nuser new\n  no suppress-password-change\nexit",
		[]Command{
			{Name: "user", Args: []string{"old"}, No: true, Line: 1},
			{Name: "rest-mgmt", Args: []string{}, No: true, Line: 2},
			{Name: "user", Args: []string{"new"}, Line: 3, Block: []Command{
				{Name: "suppress-password-change", Args: []string{}, No: true, Line: 4},
			}},
		},
	},
	{
		"top closes what was left open",
		"user a\n  group g\ntop; configure terminal\nuser b\nexit",
		[]Command{
			{Name: "user", Args: []string{"a"}, Line: 1, Block: []Command{{Name: "group", Args: []string{"g"}, Line: 2}}},
			{Name: "configure", Args: []string{"terminal"}, Line: 3},
			{Name: "user", Args: []string{"b"}, Line: 4},
		},
	},
	{
		"line ends of another system",
		"user a\r\n  group g\r\nexit\r\n",
		[]Command{{Name: "user", Args: []string{"a"}, Line: 1, Block: []Command{{Name: "group", Args: []string{"g"}, Line: 2}}}},
	},
}

func TestParse(t *testing.T) {
	options := Options{Opens: opens, Available: func(name string) bool { return name != "radius" }}
	for _, test := range parseTests {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, Parse(test.text, options))
		})
	}
}

func TestArgOutsideIsEmpty(t *testing.T) {
	assert.Equal(t, "a", Command{Args: []string{"a"}}.Arg(0))
	assert.Empty(t, Command{Args: []string{"a"}}.Arg(1))
}

// Whatever the text, the reader ends, and loses no command of the outermost level that follows a complete block.
func TestParseEndsAndResynchronises(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"top", "exit", "user a", "rest-mgmt", "domain b", "domain", "x", "  y", "    z", "%if% available q", "%endif%", "%else%", "%",
		"\"", "\\", ";", "no", "no user", "# c", "configure terminal", "\t", " ",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := ""
		for _, line := range rapid.SliceOfN(piece, 0, 40).Draw(t, "lines") {
			text += line + "\n"
		}
		commands := Parse("user first\nexit\n"+text, Options{Opens: opens})
		assert.Equal(t, Command{Name: "user", Args: []string{"first"}, Line: 1}, commands[0])
		for _, command := range commands {
			assert.NotContains(t, []string{"top", "exit", ""}, command.Name)
		}
	})
}
