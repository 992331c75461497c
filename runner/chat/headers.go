package chat

import (
	"encoding/base64"
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
		secret := SecretHeader(name)
		if variable, ok := strings.CutPrefix(value, "env:"); ok {
			variable = strings.TrimSpace(variable)
			if value = strings.TrimSpace(getenv(variable)); value == "" {
				return &EndpointError{"the header " + name + " names the variable " + shownVariable(variable) + ", which is not set",
					"export it, or write the value itself"}
			}
			secret = true
		} else if secret {
			e.Exposed = append(e.Exposed, name)
		}
		if secret {
			e.Secrets = append(e.Secrets, secretParts(name, value)...)
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

// SecretHeader says whether a header of this name holds a credential, so that its value is not for showing.
func SecretHeader(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "authorization", "proxy-authorization", "cookie": // the other usual ones end as below
		return true
	}
	for _, end := range []string{"-key", "-token", "-secret"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// secretParts leaves out a scheme such as Bearer, and the names of cookies.
func secretParts(name, value string) (parts []string) {
	if name == "Cookie" {
		for pair := range strings.SplitSeq(value, ";") {
			if _, after, found := strings.Cut(pair, "="); found {
				pair = after
			}
			parts = append(parts, strings.Trim(pair, ` "`))
		}
		return parts
	}
	fields := strings.Fields(value)
	if len(fields) == 0 {
		return nil
	}
	secret := fields[len(fields)-1]
	parts = []string{secret}
	if strings.EqualFold(fields[0], "Basic") {
		if pair, err := base64.StdEncoding.DecodeString(secret); err == nil {
			if _, password, found := strings.Cut(string(pair), ":"); found {
				parts = append(parts, password)
			}
		}
	}
	return parts
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
