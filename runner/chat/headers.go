package chat

import (
	"net/http"
	"strings"
)

// ownHeaders are set by the client or the transport: another value would break the call or the accounting.
var ownHeaders = map[string]bool{
	"Host": true, "Content-Length": true, "Content-Type": true, "Content-Encoding": true, "Transfer-Encoding": true,
	"Accept-Encoding": true, "Connection": true, "Expect": true, "Trailer": true, "Upgrade": true, "Te": true,
	"Idempotency-Key": true, "Proxy-Authorization": true, "Keep-Alive": true,
}

// readHeaders reads the user's own headers. No value is ever shown, as any may be a secret.
func (e *Endpoint) readHeaders(lines []string, getenv func(string) string) error {
	for _, line := range lines {
		name, value, found := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found || !isToken(name) {
			return &EndpointError{"a header is not of the form 'Name: value'", "write it as in --header 'X-Team: research'"}
		}
		name = http.CanonicalHeaderKey(name)
		if ownHeaders[name] {
			return &EndpointError{"the header " + name + " cannot be set", "leave it off: batch sets it itself"}
		}
		if variable, ok := strings.CutPrefix(value, "env:"); ok {
			variable = strings.TrimSpace(variable)
			if value = strings.TrimSpace(getenv(variable)); value == "" {
				return &EndpointError{"the header " + name + " names the variable " + printable(variable, 100) + ", which is not set",
					"export it, or write the value itself"}
			}
			e.Secrets = append(e.Secrets, secretPart(value))
		}
		for i := range len(value) {
			if value[i] < ' ' && value[i] != '\t' || value[i] > '~' {
				return &EndpointError{"the value of the header " + name + " holds a control character or one outside ASCII", ""}
			}
		}
		if e.Header == nil {
			e.Header = http.Header{}
		}
		e.Header.Add(name, value)
	}
	return nil
}

// secretPart leaves a scheme such as Bearer out.
func secretPart(value string) string {
	fields := strings.Fields(value)
	return fields[len(fields)-1]
}

// isToken says whether s can be the name of a header.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
