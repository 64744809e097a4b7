/**
 * What every reply says to browsers, whatever its class (OWASP Secure Headers). Pages of our own replace the policy by
 * theirs. Media must load from other origins' pages without credentials, so CORP is `cross-origin`: what is private is
 * protected by cookies that no other page can send, or by a signature.
 */
export function securityHeaders(isHttps: boolean): Record<string, string> {
  return {
    'content-security-policy':
      "default-src 'none';frame-ancestors 'none';base-uri 'none';form-action 'none'",
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'cross-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    ...(isHttps && { 'strict-transport-security': 'max-age=31536000; includeSubDomains' }),
    vary: 'Origin',
  }
}
