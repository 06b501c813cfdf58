package config

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/datapower-operator/datapower-operator/test/gateway/crypt"
)

// ErrInput says that the mounted objects lack something, so that the init script would stop the pod.
var ErrInput = errors.New("the init script would refuse this")

// InputRoot is the folder of a pod that holds the input of the init script.
const InputRoot = "/opt/datapower-operator"

// defaultSalt is the salt of a password whose Secret names none.
const defaultSalt = "12345678"

// maxUnpacked bounds what an archive may become.
const maxUnpacked = 64 << 20

// Assemble does what the chart's init script does (files/init.sh of the chart datapowerservice, whose head describes the
// input): it makes the files of a gateway, of those that matter to the stand-in, from what a pod mounts below
// [InputRoot]. It does not run init commands. Passwords are hashed by the given function, nil meaning [crypt.Hash].
// Errors wrap [ErrInput].
func Assemble(input Files, hash HashFunc) (Files, error) {
	if hash == nil {
		hash = crypt.Hash
	}
	a := &assembler{in: input, out: Files{}, hash: hash}
	for _, step := range []func() error{a.users, a.domains} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return a.out, nil
}

// HashFunc makes a crypt(3) hash, as [crypt.Hash] does.
type HashFunc func(method, salt, password string) (string, error)

type assembler struct {
	in, out Files
	hash    HashFunc
}

// each calls a function for i = 0, 1, 2 as long as there is a file or a folder of that name.
func (a *assembler) each(format string, visit func(i int, name string) error) error {
	for i := 0; ; i++ {
		name := fmt.Sprintf(format, i)
		if !a.in.has(name) && len(a.in.In(name)) == 0 {
			return nil
		}
		if err := visit(i, name); err != nil {
			return err
		}
	}
}

func (a *assembler) users() error {
	var text strings.Builder
	text.WriteString("top; configure terminal;\n\n%if% available \"user\"\n")
	err := a.each("init/user.%d.name", func(i int, key string) error {
		hash, err := a.passwordHash(i)
		if err != nil {
			return fmt.Errorf("user %d: %w", i, err)
		}
		fmt.Fprintf(&text, "\nuser %s\n  password-hashed %s\n%s\nexit\n",
			quote(a.in.text(key)), quote(hash), a.in.text(fmt.Sprintf("user-commands/user.%d", i)))
		return nil
	})
	text.WriteString("\n%endif%\n")
	a.out[usersFile] = []byte(text.String())
	return err
}

// passwordHash takes the hash of a user's Secret, or makes it.
func (a *assembler) passwordHash(user int) (string, error) {
	secret := fmt.Sprintf("user/%d/", user)
	if hash := a.in.text(secret + "password-hashed"); hash != "" {
		return hash, nil
	}
	password := a.in.text(secret + "password")
	if password == "" {
		return "", fmt.Errorf("%w: the password Secret has neither password-hashed nor password", ErrInput)
	}
	salt, method := a.in.text(secret+"salt"), a.in.text(secret+"method")
	if salt == "" {
		salt = defaultSalt
	}
	if method == "" {
		method = a.in.text("init/password-method")
	}
	hash, err := a.hash(method, salt, password)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInput, err)
	}
	return hash, nil
}

func (a *assembler) domains() error {
	startup := "top; configure terminal;\n\nexec \"config:///auto-user.cfg\"\n" + a.healthCheck()
	configured := map[string]string{}
	err := a.each("init/domain.%d.name", func(i int, key string) error {
		name := a.in.text(key)
		if name != DefaultDomain {
			startup += fmt.Sprintf("\ndomain %s\n  config-file %s\nexit\n", quote(name), quote(name+".cfg"))
		}
		configured[name] = a.configuration(i)
		a.certificates(i, name)
		return a.local(i, name)
	})
	for name, text := range configured {
		if name != DefaultDomain {
			a.out[FolderConfig+"/"+name+"/"+name+".cfg"] = []byte("top; configure terminal;\n" + text)
		}
	}
	a.out[startupFile] = []byte(startup + configured[DefaultDomain])
	return err
}

func (a *assembler) healthCheck() string {
	template := string(a.in["init/health-check.cfg"])
	return "\n" + strings.ReplaceAll(template, "@PORT@", a.in.text("init/health.port")) + "\n"
}

// configuration joins the user's files of a domain.
func (a *assembler) configuration(domain int) string {
	var text strings.Builder
	_ = a.each(fmt.Sprintf("domain/%d/config/%%d", domain), func(_ int, folder string) error {
		for _, name := range a.in.In(folder) {
			text.WriteString("\n")
			text.Write(a.in[name])
			text.WriteString("\n")
		}
		return nil
	})
	return text.String()
}

func (a *assembler) certificates(domain int, name string) {
	_ = a.each(fmt.Sprintf("init/domain.%d.cert.%%d.type", domain), func(i int, key string) error {
		folder := FolderSharedCerts
		if a.in.text(key) == "usrcerts" {
			folder = DomainFolder(FolderUserCerts, name)
		}
		folder = path.Join(folder, a.in.text(fmt.Sprintf("init/domain.%d.cert.%d.subpath", domain, i)))
		for _, file := range a.in.In(fmt.Sprintf("domain/%d/cert/%d", domain, i)) {
			a.out[folder+"/"+path.Base(file)] = a.in[file]
		}
		return nil
	})
}

// local unpacks the archives of a domain.
func (a *assembler) local(domain int, name string) error {
	folder := DomainFolder(FolderLocal, name)
	return a.each(fmt.Sprintf("domain/%d/local/%%d", domain), func(_ int, from string) error {
		for _, archive := range a.in.In(from) {
			if err := a.unpack(folder, a.in[archive]); err != nil {
				return fmt.Errorf("%w: %s: %w", ErrInput, archive, err)
			}
		}
		return nil
	})
}

func (a *assembler) unpack(folder string, archive []byte) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return fmt.Errorf("no gzip'd archive: %w", err)
	}
	members := tar.NewReader(io.LimitReader(unzipped, maxUnpacked))
	for {
		header, err := members.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("no tar archive: %w", err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(members)
		if err != nil {
			return fmt.Errorf("member %s: %w", header.Name, err)
		}
		a.out[folder+path.Join("/", header.Name)] = content
	}
}

// quote writes a text as one argument of a configuration command.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
