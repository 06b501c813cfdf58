package gateway

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds the body of a request.
const maxBody = 1 << 20

// answer is what a resource answers.
type answer struct {
	status int
	body   map[string]any
}

// call is one request to a resource.
type call struct {
	*Instance
	method string
	// path holds the unescaped parts behind /mgmt/.
	path   []string
	query  url.Values
	body   []byte
	rights rights
}

// serveREST answers a request to the REST management interface, with what faults make of it.
func (i *Instance) serveREST(w http.ResponseWriter, r *http.Request) {
	begin := i.host.clock.Now()
	entry := i.host.requests.begin(Request{
		Begin: begin, Instance: i.options.Name, Method: r.Method, Path: r.URL.RequestURI(),
	})
	faults := i.takeFaults(r)
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxBody))
	user, password, _ := r.BasicAuth()
	status := 0
	defer func() { i.host.requests.end(entry, user, body, status, i.host.clock.Since(begin)) }()
	if faults.Hang || !pause(r, faults.Slow) {
		hang(r)
	}
	result := i.answer(r, user, password, body, faults)
	if faults.HangAfter {
		hang(r)
	}
	status = result.status
	write(w, result, faults)
}

// hang waits until the client goes, and then drops the connection. A handler that just returns would answer 200.
func hang(r *http.Request) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// pause waits as long as a slow gateway would. It tells whether the client is still there.
func pause(r *http.Request, duration time.Duration) bool {
	select {
	case <-time.After(duration):
		return true
	case <-r.Context().Done():
		return false
	}
}

// answer finds the user and the resource.
func (i *Instance) answer(r *http.Request, user, password string, body []byte, faults Faults) answer {
	self := r.URL.EscapedPath()
	switch {
	case faults.ServerErrors != 0:
		return failure(http.StatusInternalServerError, self, "Internal server error.")
	case faults.Unauthorized:
		return failure(http.StatusUnauthorized, self, "Authentication failure.")
	}
	i.mutex.Lock()
	account := i.config.User(user)
	var hash string
	var allowed rights
	if account != nil {
		hash, allowed = account.PasswordHash, rightsOf(account, i.config.Group(account.Group))
	}
	i.mutex.Unlock()
	if account == nil || !i.host.verify(hash, password) {
		return failure(http.StatusUnauthorized, self, "Authentication failure.")
	}
	rest, inside := strings.CutPrefix(self, "/mgmt/")
	if !inside {
		return notFound(self)
	}
	c := &call{Instance: i, method: r.Method, query: r.URL.Query(), body: body, rights: allowed}
	for part := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), "/") {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return failure(http.StatusBadRequest, self, "Bad request.")
		}
		c.path = append(c.path, plain)
	}
	return c.resource(self)
}

// resource answers for the resource of the call's path.
func (c *call) resource(self string) answer {
	switch c.path[0] {
	case "":
		return c.root(self)
	case "domains":
		return c.domains(self)
	case "status":
		return c.statusResource(self)
	case "config":
		return c.configResource(self)
	case "actionqueue":
		return c.actionQueue(self)
	case "filestore":
		return c.filestore(self)
	}
	return notFound(self)
}

func (c *call) root(self string) answer {
	links := linksOf(self, "")
	for name, href := range map[string]string{
		"config": "/mgmt/config/", "domains": "/mgmt/domains/config/", "status": "/mgmt/status/",
		"actionqueue": "/mgmt/actionqueue/", "filestore": "/mgmt/filestore/", "metadata": "/mgmt/metadata/", "types": "/mgmt/types/",
	} {
		links[name] = link(href)
	}
	return answer{http.StatusOK, map[string]any{"_links": links}}
}

// domains lists the domains that the user may read.
func (c *call) domains(self string) answer {
	if len(c.path) != 2 || c.path[1] != "config" {
		return notFound(self)
	}
	var names []any
	for _, domain := range c.visibleDomains() {
		names = append(names, map[string]any{"name": domain, "href": "/mgmt/config/default/Domain/" + url.PathEscape(domain)})
	}
	return listing(self, "", "domain", names, "No configuration retrieved.")
}

func (c *call) visibleDomains() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var names []string
	for _, domain := range c.config.Domains {
		if c.rights.in(domain.Name, accessRead) {
			names = append(names, domain.Name)
		}
	}
	return names
}

// sees tells whether there is a domain that the user may use in a way.
func (c *call) sees(domain string, access byte) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.config.Domain(domain) != nil && c.rights.in(domain, access)
}

// linksOf makes the links that every answer has.
func linksOf(self, doc string) map[string]any {
	links := map[string]any{"self": link(self)}
	if doc != "" {
		links["doc"] = link(doc)
	}
	return links
}

func link(path string) map[string]any { return map[string]any{"href": path} }

// listing answers with rows: none are a result text, one is an object, several are an array.
func listing(self, doc, key string, rows []any, none string) answer {
	body := map[string]any{"_links": linksOf(self, doc)}
	switch len(rows) {
	case 0:
		body["result"] = none
	case 1:
		body[key] = rows[0]
	default:
		body[key] = rows
	}
	return answer{http.StatusOK, body}
}

// failure answers with error texts, XML-escaped as some answers of gateways are.
func failure(status int, self string, texts ...string) answer {
	escaped := make([]string, len(texts))
	for i, text := range texts {
		escaped[i] = html.EscapeString(text)
	}
	return answer{status, map[string]any{"_links": linksOf(self, ""), "error": escaped}}
}

// notFound answers for what does not exist and for what the user may not see.
func notFound(self string) answer { return failure(http.StatusNotFound, self, "Resource not found.") }

// write sends an answer.
func write(w http.ResponseWriter, a answer, faults Faults) {
	body, err := json.MarshalIndent(a.body, "", "  ")
	if err != nil {
		panic(err) // answers are made of maps, strings and numbers
	}
	if faults.Malformed {
		a.status, body = http.StatusOK, []byte("<html>\n<body>This is no JSON.</body>\n</html>\n")
	}
	if faults.HugeAnswer > 0 {
		body = append(body, bytes.Repeat([]byte(" "), faults.HugeAnswer)...)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if a.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="rest-mgmt"`)
	}
	w.WriteHeader(a.status)
	if faults.HalfWritten {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}
