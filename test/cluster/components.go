package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/datapower-operator/datapower-operator/test/cluster/ports"
	"github.com/datapower-operator/datapower-operator/test/cluster/process"
)

const (
	loopback = "127.0.0.1"
	// advertiseAddress is what the Service "kubernetes" points to. Like the addresses of pods it exists only in the API: Kubernetes
	// refuses loopback addresses as endpoints. It is of TEST-NET-1 (RFC 5737), so it is nobody's. Programs on the host use the
	// kubeconfig's address. A real node passes on what is sent to it.
	advertiseAddress = "192.0.2.1"
	serviceCIDR      = "10.96.0.0/16"
	// apiServiceAddress is the first address of serviceCIDR, which the Service "kubernetes" always gets.
	apiServiceAddress = "10.96.0.1"
	frontProxyUser    = "front-proxy-client"
)

// listenPorts are the ports that components listen on, all on 127.0.0.1.
type listenPorts struct {
	etcdClient, etcdPeer, api, controllerManager, scheduler int
}

// reservePorts reserves a free port for every listener. The reservations must be held until the components have stopped.
func reservePorts() (listenPorts, []*ports.Reservation, error) {
	var chosen listenPorts
	var held []*ports.Reservation
	targets := []*int{&chosen.etcdClient, &chosen.etcdPeer, &chosen.api, &chosen.controllerManager, &chosen.scheduler}
	for _, target := range targets {
		reservation, err := ports.Reserve()
		if err != nil {
			releasePorts(held)
			return listenPorts{}, nil, fmt.Errorf("reserve a port: %w", err)
		}
		held = append(held, reservation)
		*target = reservation.Port()
	}
	return chosen, held, nil
}

func releasePorts(held []*ports.Reservation) {
	for _, reservation := range held {
		reservation.Release()
	}
}

func localURL(port int) string { return "https://" + loopback + ":" + strconv.Itoa(port) }

// componentSpec completes what all components have in common. Their environment is empty but for what a Go program may need: proxies
// of the caller's environment must not stand between components on loopback, and HOME is the cluster's, so that no settings of the
// user (kwok reads ~/.kwok) leak in.
func componentSpec(l layout, binDir, name string, args []string) process.Spec {
	return process.Spec{
		Name: name,
		Path: filepath.Join(binDir, name),
		Args: args,
		Env:  []string{"HOME=" + l.run(""), "PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "TMPDIR=" + l.run(""), "NO_PROXY=*"},
		Dir:  l.run(""), LogPath: l.log(name),
	}
}

func etcdArgs(l layout, p listenPorts) []string {
	client, peer := localURL(p.etcdClient), localURL(p.etcdPeer)
	return []string{
		"--name=default", "--data-dir=" + l.run("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--socket-reuse-port",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
		"--client-cert-auth", "--trusted-ca-file=" + l.pki("etcd-ca.crt"),
		"--cert-file=" + l.pki("etcd.crt"), "--key-file=" + l.pki("etcd.key"),
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + l.pki("etcd-ca.crt"),
		"--peer-cert-file=" + l.pki("etcd.crt"), "--peer-key-file=" + l.pki("etcd.key"),
	}
}

func apiServerArgs(l layout, p listenPorts, o Options) []string {
	args := []string{
		"--etcd-servers=" + localURL(p.etcdClient), "--etcd-cafile=" + l.pki("etcd-ca.crt"),
		"--etcd-certfile=" + l.pki("etcd-client.crt"), "--etcd-keyfile=" + l.pki("etcd-client.key"),
		"--bind-address=" + loopback, "--advertise-address=" + advertiseAddress,
		"--service-cluster-ip-range=" + serviceCIDR,
		"--client-ca-file=" + l.pki("ca.crt"),
		"--authorization-mode=Node,RBAC", "--allow-privileged=true", "--profiling=false",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + l.pki("service-account.crt"),
		"--service-account-signing-key-file=" + l.pki("service-account.key"),
		"--requestheader-client-ca-file=" + l.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=" + frontProxyUser,
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + l.pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + l.pki("front-proxy-client.key"),
	}
	args = append(args, servingArgs(l, kubeAPIServer, p.api)...)
	args = append(args, kubeletArgs(l, o)...)
	if len(o.EnableAdmission) > 0 {
		args = append(args, "--enable-admission-plugins="+strings.Join(o.EnableAdmission, ","))
	}
	if len(o.DisableAdmission) > 0 {
		args = append(args, "--disable-admission-plugins="+strings.Join(o.DisableAdmission, ","))
	}
	if o.AuditLog {
		args = append(args, "--audit-policy-file="+l.run(auditPolicyFile), "--audit-log-path="+l.auditLog(),
			"--audit-log-mode=blocking", "--audit-log-maxsize=0")
	}
	return append(args, o.APIServerArgs...)
}

// kubeletArgs say how the API server reaches the kubelets: those of simulated nodes are not there, the one of a real node is in a network
// of its own, like its pods and Services.
func kubeletArgs(l layout, o Options) []string {
	if o.RealNode == nil {
		return []string{"--kubelet-preferred-address-types=" + string(corev1.NodeInternalDNS)}
	}
	return []string{
		"--kubelet-preferred-address-types=" + string(corev1.NodeInternalIP),
		"--kubelet-certificate-authority=" + l.pki("ca.crt"),
		"--kubelet-client-certificate=" + l.pki("kubelet-client.crt"), "--kubelet-client-key=" + l.pki("kubelet-client.key"),
		"--egress-selector-config-file=" + l.run(egressFile),
	}
}

func controllerManagerArgs(l layout, p listenPorts, o Options) []string {
	kubeconfig := l.componentKubeconfig(controllerManager)
	args := []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback, "--leader-elect=false", "--use-service-account-credentials", "--profiling=false",
		"--kube-api-qps=500", "--kube-api-burst=1000",
		"--root-ca-file=" + l.pki("ca.crt"), "--service-account-private-key-file=" + l.pki("service-account.key"),
		"--cluster-signing-cert-file=" + l.pki("ca.crt"), "--cluster-signing-key-file=" + l.pki("ca.key"),
	}
	args = append(args, servingArgs(l, controllerManager, p.controllerManager)...)
	return append(args, o.ControllerManagerArgs...)
}

func schedulerArgs(l layout, p listenPorts) []string {
	kubeconfig := l.componentKubeconfig(kubeScheduler)
	args := []string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback, "--leader-elect=false", "--profiling=false",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
	return append(args, servingArgs(l, kubeScheduler, p.scheduler)...)
}

// servingArgs are the flags of the HTTPS server that all Kubernetes components share.
func servingArgs(l layout, component string, port int) []string {
	return []string{
		"--secure-port=" + strconv.Itoa(port), "--permit-port-sharing=true",
		"--tls-cert-file=" + l.pki(component+".crt"), "--tls-private-key-file=" + l.pki(component+".key"),
	}
}

func kwokArgs(l layout) []string {
	return []string{
		"--kubeconfig=" + l.componentKubeconfig(kwok), "--config=" + l.run(kwokConfigFile),
		"--manage-nodes-with-annotation-selector=" + nodeAnnotation + "=" + nodeAnnotationValue,
		"--node-lease-duration-seconds=40",
	}
}
