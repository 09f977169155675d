package api

// Certificate is one trusted certificate.
type Certificate struct {
	Certificate string `json:"certificate"` // PEM
	Fingerprint string `json:"fingerprint"` // SHA-256 of its DER form, lower-case hexadecimal
}

// CertificatesPost adds a certificate.
type CertificatesPost struct {
	Certificate   string `json:"certificate"` // base64 of its DER form, without PEM's armour
	TrustPassword string `json:"trust-password,omitempty"`
	// JoinToken makes a caller that is not trusted one that is, once.
	JoinToken string `json:"join_token,omitempty"`
}

// Identity is somebody who may call.
type Identity struct {
	ID                   string   `json:"id"`
	Name                 string   `json:"name,omitempty"`
	Groups               []string `json:"groups"`
	AuthenticationMethod string   `json:"authentication_method"` // "tls" or "oidc"
	CreatedAt            int64    `json:"created_at"`
	UpdatedAt            int64    `json:"updated_at"`
	Fingerprint          string   `json:"fingerprint,omitempty"`
	Email                string   `json:"email,omitempty"`
	Certificate          string   `json:"certificate,omitempty"`
	Entitlements         []string `json:"entitlements,omitempty"`
}

// IdentityPost makes an identity. Method oidc needs an email, tls a certificate.
type IdentityPost struct {
	AuthenticationMethod string   `json:"authentication_method"`
	Name                 string   `json:"name,omitempty"`
	Email                string   `json:"email,omitempty"`
	Certificate          string   `json:"certificate,omitempty"` // base64 of its DER form
	Groups               []string `json:"groups,omitempty"`
}

// IdentityPut replaces the groups of an identity.
type IdentityPut struct {
	Groups []string `json:"groups"`
}

// Permission is leave to do something with something.
type Permission struct {
	Entitlement string `json:"entitlement"`
	Resource    string `json:"resource"` // "server", or "<type>:<id>"
}

// Group is identities that share permissions.
type Group struct {
	Name         string       `json:"name"`
	Description  string       `json:"description,omitempty"`
	CreatedAt    int64        `json:"created_at"`
	UpdatedAt    int64        `json:"updated_at"`
	Identities   []string     `json:"identities"`
	Permissions  []Permission `json:"permissions"`
	Immutable    bool         `json:"immutable"`
	Entitlements []string     `json:"entitlements,omitempty"`
}

// GroupsPost makes a group.
type GroupsPost struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// GroupPut changes a group; what is nil stays.
type GroupPut struct {
	Description *string       `json:"description,omitempty"`
	Permissions *[]Permission `json:"permissions,omitempty"`
}

// OIDC is what a client needs for logging in.
type OIDC struct {
	Issuer         string   `json:"issuer"`
	RequiredScopes []string `json:"required_scopes"`
	ClientID       string   `json:"client_id,omitempty"`
	Audience       string   `json:"audience,omitempty"`
}

// JoinTokensPost issues a token that lets one client become trusted.
type JoinTokensPost struct {
	Name     string   `json:"name,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Lifetime string   `json:"lifetime,omitempty"` // "1h"
}

// JoinToken is such a token. The secret is shown once, when it is issued.
type JoinToken struct {
	ID        string   `json:"id"`
	Name      string   `json:"name,omitempty"`
	Groups    []string `json:"groups"`
	Secret    string   `json:"secret,omitempty"`
	CreatedAt int64    `json:"created_at"`
	ExpiresAt int64    `json:"expires_at"`
}
