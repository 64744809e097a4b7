import { expect, test } from 'vitest'
import { readSettings } from './settings.ts'

const WHOLE = {
  OIDC_ISSUER: 'https://login.example.com/realms/films',
  OIDC_CLIENT_ID: 'videoflix',
  OIDC_CLIENT_SECRET: 'between us',
}

const openIdOf = (env: Record<string, string>) => readSettings(env, '/tmp').settings.openId

test('is off without settings, and careful by default', () => {
  expect(openIdOf({})).toBeNull()
  expect(openIdOf({ OIDC_ISSUER: '' })).toBeNull()
  expect(openIdOf(WHOLE)).toEqual({
    issuer: WHOLE.OIDC_ISSUER,
    clientId: 'videoflix',
    clientSecret: 'between us',
    scopes: 'openid email profile',
    name: 'login.example.com',
    createsUsers: true,
    trustsEmail: false,
    trustsTwoFactor: false,
  })
  expect(openIdOf({ ...WHOLE, OIDC_SCOPES: 'email groups' })?.scopes).toBe('openid email groups')
})

test.each(Object.keys(WHOLE))('without %s it is half configured, and says so', (name) => {
  const half = Object.fromEntries(Object.entries(WHOLE).filter(([each]) => each !== name))
  expect(() => openIdOf(half)).toThrow(
    `Sign-in with OpenID Connect is half configured: set ${name} too, or remove every OIDC_ setting.`,
  )
})

test('a trust alone is half configured too', () => {
  expect(() => openIdOf({ OIDC_TRUST_EMAIL: 'True' })).toThrow('set OIDC_ISSUER and OIDC_CLIENT_ID')
})

test.each([
  'https://login.example.com',
  'http://localhost:8080/realms/films',
  'http://127.0.0.1:9000',
  'http://[::1]:9000',
])('takes %s for a provider', (issuer) => {
  expect(openIdOf({ ...WHOLE, OIDC_ISSUER: issuer })?.issuer).toBe(issuer)
})

test.each([
  'http://login.example.com',
  'http://127.0.0.1.example.com',
  'http://localhost.example.com',
  'ftp://login.example.com',
  'login.example.com',
])('refuses %s for a provider', (issuer) => {
  expect(() => openIdOf({ ...WHOLE, OIDC_ISSUER: issuer })).toThrow(
    /OIDC_ISSUER: .*(write an https URL|write a full URL)/,
  )
})

test('does not show the secret when it is not understood', () => {
  expect(() => openIdOf({ ...WHOLE, OIDC_SCOPES: '"' })).toThrow(/^(?!.*between us)/)
})
