package config

import (
	"path"
	"strconv"
	"strings"

	"github.com/datapower-operator/datapower-operator/test/gateway/cfg"
)

// Files that a gateway reads at its start.
const (
	startupFile = FolderConfig + "/auto-startup.cfg"
	usersFile   = FolderConfig + "/auto-user.cfg"
)

// maxDepth bounds "exec" of files by files.
const maxDepth = 8

// objectCommands are the commands whose blocks the loader reads. The value tells how many arguments open the block.
var objectCommands = map[string]int{
	"user": 1, "usergroup": 1, "domain": 1, "gateway-peering": 1, "gateway-peering-group": 1, "host-alias": 1,
	"source-http": 1, "rest-mgmt": 0, "web-mgmt": 0, "xml-mgmt": 0,
}

// Load reads the configuration from a gateway's files (paths below /opt/ibm/datapower). A tree without auto-startup.cfg
// is taken as plain files: all .cfg files of the configuration folder are the default domain's, in the order of their
// names. What the loader does not know, it passes over, as the stand-in could not follow it.
func Load(files Files) Config {
	loader := &loader{files: files, config: Config{HostAliases: map[string]string{}}}
	domain := &Domain{Name: DefaultDomain}
	loader.config.Domains = []Domain{*domain}
	if files.has(startupFile) {
		loader.exec(startupFile, DefaultDomain, 0)
	} else {
		for _, name := range files.In(FolderConfig) {
			if path.Ext(name) == ".cfg" {
				loader.exec(name, DefaultDomain, 0)
			}
		}
	}
	for _, made := range loader.domains {
		if made.enabled {
			loader.config.Domains = append(loader.config.Domains, Domain{Name: made.name})
			loader.exec(FolderConfig+"/"+made.name+"/"+made.file, made.name, 0)
		}
	}
	for i := range loader.config.Domains {
		sortByName(loader.config.Domains[i].Peerings, peeringName)
		sortByName(loader.config.Domains[i].PeerGroups, peerGroupName)
	}
	sortByName(loader.config.Domains[1:], domainName)
	return loader.config
}

type loader struct {
	files   Files
	config  Config
	domains []madeDomain
}

// madeDomain is a domain that the default domain creates.
type madeDomain struct {
	name, file string
	enabled    bool
}

func madeDomainName(d *madeDomain) *string { return &d.name }

// exec runs the commands of a file in a domain.
func (l *loader) exec(file, domain string, depth int) {
	if depth == maxDepth {
		return
	}
	commands := cfg.Parse(string(l.files[file]), cfg.Options{Opens: func(name string, args []string) bool {
		count, known := objectCommands[name]
		return known && len(args) == count
	}})
	for _, command := range commands {
		if command.Name == "exec" {
			relative, inConfig := strings.CutPrefix(command.Arg(0), "config:")
			if inConfig {
				l.exec(path.Join(DomainFolder(FolderConfig, domain), strings.TrimLeft(relative, "/")), domain, depth+1)
			}
			continue
		}
		l.object(command, domain)
	}
}

// object applies a command that makes, changes or deletes an object.
func (l *loader) object(command cfg.Command, domain string) {
	name := command.Arg(0)
	inDefault := domain == DefaultDomain
	switch {
	case command.Name == "user" && inDefault:
		apply(&l.config.Users, command, userName, User{}, (*User).set)
	case command.Name == "usergroup" && inDefault:
		apply(&l.config.Groups, command, groupName, Group{}, (*Group).set)
	case command.Name == "domain" && inDefault && name != DefaultDomain:
		apply(&l.domains, command, madeDomainName, madeDomain{enabled: true, file: name + ".cfg"}, (*madeDomain).set)
	case command.Name == "gateway-peering":
		apply(&l.config.Domain(domain).Peerings, command, peeringName, newPeering(), (*Peering).set)
	case command.Name == "gateway-peering-group":
		apply(&l.config.Domain(domain).PeerGroups, command, peerGroupName, PeerGroup{Enabled: true, Mode: "peer"}, (*PeerGroup).set)
	case command.Name == "host-alias" && inDefault && !command.No:
		for _, setting := range command.Block {
			if setting.Name == "ip-address" {
				l.config.HostAliases[name] = setting.Arg(0)
			}
		}
	case command.Name == "rest-mgmt" && inDefault:
		l.config.RestMgmt.setAll(command)
	case command.Name == "source-http" && inDefault:
		l.sourceHTTP(command)
	}
}

// apply finds or makes an object and gives it the settings of its block.
func apply[T any](list *[]T, command cfg.Command, nameOf func(*T) *string, fresh T, set func(*T, cfg.Command)) {
	name := command.Arg(0)
	if command.No {
		remove(list, name, nameOf)
		return
	}
	object := upsert(list, name, nameOf, fresh)
	for _, setting := range command.Block {
		if setting.Name == "reset" {
			*object = fresh
			*nameOf(object) = name
			continue
		}
		set(object, setting)
	}
}

func (u *User) set(setting cfg.Command) {
	switch setting.Name {
	case "password-hashed":
		u.PasswordHash = setting.Arg(0)
	case "access-level":
		u.AccessLevel = setting.Arg(0)
	case "group":
		u.Group = setting.Arg(0)
	}
}

func (g *Group) set(setting cfg.Command) {
	if setting.Name == "access-policy" {
		g.AccessPolicies = append(g.AccessPolicies, setting.Arg(0))
	}
}

func (d *madeDomain) set(setting cfg.Command) {
	switch setting.Name {
	case "admin-state":
		d.enabled = setting.Arg(0) != "disabled"
	case "config-file":
		d.file = path.Base(setting.Arg(0))
	}
}

func newPeering() Peering {
	return Peering{
		Enabled: true, LocalPort: DefaultPeeringPort, MonitorPort: DefaultMonitorPort, EnablePeerGroup: true, Priority: 100,
		Others: map[string]string{},
	}
}

func (p *Peering) set(setting cfg.Command) {
	value := setting.Arg(0)
	switch setting.Name {
	case "admin-state":
		p.Enabled = value != "disabled"
	case "summary":
		p.Summary = value
	case "local-address":
		p.LocalAddress = value
	case "local-port":
		p.LocalPort = atoi(value)
	case "monitor-port":
		p.MonitorPort = atoi(value)
	case "enable-peer-group":
		p.EnablePeerGroup = isOn(setting)
	case "enable-ssl":
		p.EnableSSL = isOn(setting)
	case "peer-group":
		p.PeerGroup = value
	case "peer", "peers":
		p.Peers = append(p.Peers, setting.Args...)
	case "priority":
		p.Priority = uint64(atoi(value))
	default:
		if setting.No {
			value = "off"
		} else if value == "" {
			value = "on"
		}
		p.Others[setting.Name] = value
	}
}

func (g *PeerGroup) set(setting cfg.Command) {
	switch setting.Name {
	case "admin-state":
		g.Enabled = setting.Arg(0) != "disabled"
	case "mode":
		g.Mode = setting.Arg(0)
	case "peer", "peers", "peer-node", "peer-nodes":
		g.Peers = append(g.Peers, setting.Args...)
	}
}

// setAll applies the whole block of a management interface. Entering the block does not switch it on.
func (l *Listener) setAll(command cfg.Command) {
	if l.Port == 0 {
		l.Port = DefaultRestPort
	}
	l.Enabled = l.Enabled && !command.No
	for _, setting := range command.Block {
		switch setting.Name {
		case "admin-state":
			l.Enabled = setting.Arg(0) == "enabled"
		case "local-address":
			l.Address = setting.Arg(0)
			if port := atoi(setting.Arg(1)); port > 0 {
				l.Port = port
			}
		case "port", "local-port":
			l.Port = atoi(setting.Arg(0))
		}
	}
}

func (l *loader) sourceHTTP(command cfg.Command) {
	port, enabled := 0, !command.No
	for _, setting := range command.Block {
		switch setting.Name {
		case "admin-state":
			enabled = setting.Arg(0) != "disabled"
		case "port", "local-port":
			port = atoi(setting.Arg(0))
		}
	}
	if enabled && port > 0 {
		l.config.HTTPPorts = append(l.config.HTTPPorts, port)
	}
}

// isOn tells what a switch is set to: "name", "name on" or "no name".
func isOn(setting cfg.Command) bool { return !setting.No && setting.Arg(0) != "off" }

// atoi returns a small number, 0 for what is none.
func atoi(text string) int {
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return int(number)
}
