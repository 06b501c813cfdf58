package cluster

import "path/filepath"

// layout names the files of a cluster in its directory:
//
//	kubeconfig             the administrator's kubeconfig, there only while the cluster is ready
//	run/pki/               certificates and keys
//	run/etcd/              etcd's data
//	run/logs/NAME.log      what each component printed
//	run/NAME.kubeconfig    a component's kubeconfig
//	run/audit.log          the audit log, when asked for
//	run/node/              a real node's sockets, logs, images and containers
//	run/volumes/NAME       a persistent volume's files, with a real node
type layout struct {
	dir string
}

func (l layout) kubeconfig() string { return filepath.Join(l.dir, "kubeconfig") }

func (l layout) run(name string) string { return filepath.Join(l.dir, "run", name) }

func (l layout) pki(name string) string { return l.run(filepath.Join("pki", name)) }

func (l layout) log(component string) string { return l.run(filepath.Join("logs", component+".log")) }

func (l layout) componentKubeconfig(component string) string { return l.run(component + ".kubeconfig") }

func (l layout) auditLog() string { return l.run("audit.log") }

func (l layout) node() string { return l.run("node") }

func (l layout) volumes() string { return l.run("volumes") }

// directories lists what must exist before anything else is written.
func (l layout) directories() []string {
	return []string{l.dir, l.run(""), l.pki(""), l.run("logs")}
}
