package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// Listeners are the real ports of one gateway.
type Listeners struct {
	listeners []net.Listener
	running   sync.WaitGroup
}

// Listen opens the instance's ports on an address of this machine ("" for all) and hands over what comes. Ports are those
// that the gateway listens on now; a peering that is disabled later refuses connections, one that is enabled later has no
// port. Close the instance before the listeners.
func Listen(instance *Instance, address string) (*Listeners, error) {
	l := &Listeners{}
	for _, port := range instance.Ports() {
		listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("opening port %d: %w", port, err), l.Close())
		}
		l.listeners = append(l.listeners, listener)
		l.running.Go(func() { l.accept(instance, listener, port) })
	}
	return l, nil
}

func (l *Listeners) accept(instance *Instance, listener net.Listener, port int) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		answer, err := instance.Route(port)
		if err != nil {
			if tcp, is := conn.(*net.TCPConn); is {
				_ = tcp.SetLinger(0) // the client sees a reset, which is closest to a refusal
			}
			_ = conn.Close()
			continue
		}
		l.running.Go(func() { answer(conn) })
	}
}

// Close closes the ports and waits for what came in through them.
func (l *Listeners) Close() error {
	var errs []error
	for _, listener := range l.listeners {
		errs = append(errs, listener.Close())
	}
	l.running.Wait()
	return errors.Join(errs...)
}

// HostNetwork is the network of a gateway that has an address of its own: other gateways are those that a name stands
// for, or those of a list.
type HostNetwork struct {
	// Service is the name of the headless Service. Its addresses are the gateways, unless Static names them.
	Service string
	// Static are the addresses of the gateways.
	Static []string
}

var _ Network = HostNetwork{}

// Peers implements [Network].
func (n HostNetwork) Peers(ctx context.Context) ([]string, error) {
	if len(n.Static) > 0 || n.Service == "" {
		return n.Static, nil
	}
	return n.Lookup(ctx, n.Service)
}

// Lookup implements [Network].
func (n HostNetwork) Lookup(ctx context.Context, host string) ([]string, error) {
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("looking up gateways: %w", err)
	}
	return addresses, nil
}

// Dial implements [Network].
func (n HostNetwork) Dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dialling a gateway: %w", err)
	}
	return conn, nil
}
