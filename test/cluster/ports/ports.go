// Package ports reserves free TCP ports on loopback for programs that are about to start. It works on Linux only.
package ports

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Reservation keeps one TCP port of 127.0.0.1 out of everybody's hands but a program of the same user that binds it with
// SO_REUSEPORT. The reserving socket is bound and never listens, so it gets no connections.
//
// This closes the usual race (bind port 0, close, hope that nobody takes the port before the program binds it): while the reservation
// is held, the kernel gives the port to no one who asks for a free port and refuses it to everyone who binds it without SO_REUSEPORT.
// kube-apiserver, kube-controller-manager and kube-scheduler set the option with --permit-port-sharing, etcd with --socket-reuse-port.
type Reservation struct {
	fd   int
	port int
}

// Reserve takes a free port.
func Reserve() (*Reservation, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	r := &Reservation{fd: fd}
	if err := r.bind(); err != nil {
		r.Release()
		return nil, err
	}
	return r, nil
}

func (r *Reservation) bind() error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return fmt.Errorf("share the port: %w", err)
	}
	// For port 0 the kernel shares nothing: it picks a port that no socket has, not even one with SO_REUSEPORT.
	if err := unix.Bind(r.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("bind a free port: %w", err)
	}
	address, err := unix.Getsockname(r.fd)
	if err != nil {
		return fmt.Errorf("read the port: %w", err)
	}
	inet, ok := address.(*unix.SockaddrInet4)
	if !ok {
		return fmt.Errorf("read the port: address of type %T, want IPv4", address)
	}
	r.port = inet.Port
	return nil
}

// Port is the reserved port.
func (r *Reservation) Port() int { return r.port }

// Release gives the port up. Programs that have bound it keep it. Releasing twice does nothing.
func (r *Reservation) Release() {
	if r.fd < 0 {
		return
	}
	_ = unix.Close(r.fd) // a socket without data cannot fail to close in a way that matters
	r.fd = -1
}
