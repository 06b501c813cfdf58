package node

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed templates
var templateFiles embed.FS

// configFiles are the programs' configuration, by the path below the node's directory, each made of the template of that base name.
var configFiles = []string{
	"containerd.toml", filepath.Join("cni", "cni.conflist"), "kubelet.yaml", "kube-proxy.yaml", "Corefile", "resolv.conf",
}

// templateData is what the templates may use.
type templateData struct {
	Settings
	Name, Address, PodCIDR, DNSAddress, Domain, SandboxImage, PluginDir string
	KubeletPort                                                         int
}

// render makes the text of one configuration file.
func (s Settings) render(name string) ([]byte, error) {
	parsed, err := template.New(name).Option("missingkey=error").ParseFS(templateFiles, "templates/"+name)
	if err != nil {
		return nil, fmt.Errorf("read the template %s: %w", name, err)
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, templateData{
		Settings: s, Name: Name, Address: Address, PodCIDR: PodCIDR, DNSAddress: DNSAddress, Domain: Domain,
		SandboxImage: sandboxImage, PluginDir: pluginDir, KubeletPort: KubeletPort,
	})
	if err != nil {
		return nil, fmt.Errorf("fill the template %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// writeConfig writes all configuration files.
func (s Settings) writeConfig() error {
	for _, file := range configFiles {
		text, err := s.render(filepath.Base(file))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(s.path(file)), 0o700); err != nil {
			return fmt.Errorf("write the node's configuration: %w", err)
		}
		if err := os.WriteFile(s.path(file), text, 0o600); err != nil {
			return fmt.Errorf("write the node's configuration: %w", err)
		}
	}
	return nil
}
