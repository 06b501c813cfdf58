package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const dialTimeout = 10 * time.Second

// relay joins each connection of the listener to one that dial makes, until the listener is closed.
func relay(listener net.Listener, dial func(context.Context) (net.Conn, error)) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
			server, err := dial(ctx)
			cancel()
			if err != nil {
				_ = client.Close() // the client sees a closed connection, as it would from a server that is gone
				return
			}
			join(client, client, server)
		}()
	}
}

// join copies both ways until both ends have finished; what the client has sent already is read from fromClient.
func join(client net.Conn, fromClient io.Reader, server net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(server, fromClient) // how a connection ends is its ends' matter
		closeWrite(server)
	}()
	_, _ = io.Copy(client, server)
	closeWrite(client)
	<-done
	_, _ = client.Close(), server.Close()
}

func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = conn.Close()
}

// connectProxy answers CONNECT requests (RFC 9110, section 9.3.6) by connections from where it runs.
func connectProxy(writer http.ResponseWriter, request *http.Request) {
	if request.Method != http.MethodConnect {
		http.Error(writer, "only CONNECT is served", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(request.Context(), dialTimeout)
	defer cancel()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", request.Host)
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadGateway)
		return
	}
	client, buffered, err := http.NewResponseController(writer).Hijack()
	if err != nil {
		_ = server.Close()
		http.Error(writer, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, err := io.WriteString(client, established); err != nil {
		_, _ = client.Close(), server.Close()
		return
	}
	join(client, pending(buffered.Reader, client), server)
}

// established is the proxy's answer to a request that it has connected.
const established = "HTTP/1.1 200 Connection Established\r\n\r\n"

// Dial connects to a TCP address of the network of the running node whose directory is dir, as the API server does.
func Dial(ctx context.Context, dir, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", Settings{Dir: dir}.EgressSocket())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	answer := make([]byte, len(established))
	if _, err = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address); err == nil {
		_, err = io.ReadFull(conn, answer)
	}
	if err == nil && string(answer) != established {
		err = fmt.Errorf("the node's proxy answers %q", answer)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", address, err), conn.Close())
	}
	return conn, nil
}

// pending reads what was buffered with the request, then the connection.
func pending(buffered *bufio.Reader, conn net.Conn) io.Reader {
	return io.MultiReader(io.LimitReader(buffered, int64(buffered.Buffered())), conn)
}

// serveEgress serves connectProxy until the listener is closed.
func serveEgress(listener net.Listener) error {
	server := &http.Server{Handler: http.HandlerFunc(connectProxy), ReadHeaderTimeout: dialTimeout}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
