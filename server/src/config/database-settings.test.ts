import { expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import { readSettings } from './settings.ts'

const read = (env: Record<string, string>) => readSettings(env, '/project').settings.database

const refusalOf = (env: Record<string, string>): string => {
  try {
    read(env)
  } catch (error) {
    if (error instanceof AppError && error.code === 'misconfigured') return error.message
  }
  return expect.fail('it was taken')
}

const ADDRESS = 'postgresql://films:secret@db/films'
const PARTS = { DB_NAME: 'films', DB_USER: 'films', DB_PASSWORD: 'secret' }

test('PostgreSQL has ten connections, ten seconds a statement, and no TLS unless told', () => {
  expect(read({ DATABASE_URL: ADDRESS })).toEqual({
    kind: 'postgres',
    url: ADDRESS,
    tls: null,
    poolSize: 10,
    statementTimeoutMs: 10_000,
    applicationName: 'videoflix',
  })
  const told = { DATABASE_URL: ADDRESS, DB_POOL_SIZE: '4', DB_STATEMENT_TIMEOUT: '2.5' }
  expect(read(told)).toMatchObject({ poolSize: 4, statementTimeoutMs: 2500 })
})

test.each([
  ['db', 'postgresql://films:secret@db:5432/films'],
  ['::1', 'postgresql://films:secret@[::1]:5432/films'],
  ['/var/run/postgresql', 'postgresql://films:secret@%2Fvar%2Frun%2Fpostgresql:5432/films'],
])('DB_HOST %s makes %s', (host, url) => {
  expect(read({ ...PARTS, DB_HOST: host })).toMatchObject({ url })
})

test('a password may have any characters', () => {
  const password = `p@ss:w/o?r#d%2F "'\\&=+ü`
  const database = read({ ...PARTS, DB_PASSWORD: password })
  const { url } = database as { url: string }
  expect(decodeURIComponent(new URL(url).password)).toBe(password)
})

test('a socket may be named in a URL without a host', () => {
  const url = 'postgresql://films:secret@/films?host=/var/run/postgresql'
  expect(read({ DATABASE_URL: url })).toMatchObject({ url })
})

const CA = '/etc/ca.crt'

test.each([
  [{}, '', null],
  [{}, 'disable', null],
  [{ DB_SSL_REQUIRE: 'False' }, '', null],
  [{ DB_SSL_REQUIRE: 'True' }, '', { isVerified: false, rootCertificateFile: null }],
  [{ DB_SSL_ROOTCERT: CA }, '', { isVerified: true, rootCertificateFile: CA }],
  [{ DB_SSL_ROOTCERT: CA }, 'require', { isVerified: true, rootCertificateFile: CA }],
  [{}, 'require', { isVerified: false, rootCertificateFile: null }],
  [{}, 'no-verify', { isVerified: false, rootCertificateFile: null }],
  [{}, 'verify-full', { isVerified: true, rootCertificateFile: null }],
  [{}, 'verify-ca&sslrootcert=/etc/ca.crt', { isVerified: true, rootCertificateFile: CA }],
  [{}, 'require&sslrootcert=/etc/ca.crt', { isVerified: true, rootCertificateFile: CA }],
  [{}, 'verify-full&sslrootcert=system', { isVerified: true, rootCertificateFile: null }],
])('%j with sslmode=%s means TLS %j', (env, mode, tls) => {
  const url = mode === '' ? ADDRESS : `${ADDRESS}?sslmode=${mode}`
  expect(read({ ...env, DATABASE_URL: url })).toMatchObject({ url: ADDRESS, tls })
})

test('other parameters of a URL are kept', () => {
  const url = `${ADDRESS}?sslmode=require&application_name=films`
  expect(read({ DATABASE_URL: url })).toMatchObject({ url: `${ADDRESS}?application_name=films` })
})

test.each([
  [{ DATABASE_URL: 'postgresql://films:se#cret@db/films' }, /DATABASE_URL.*%23/],
  [{ DATABASE_URL: 'mysql://films@db/films' }, /DATABASE_URL.*postgresql:/],
  [{ DATABASE_URL: `${ADDRESS}?sslmode=prefer` }, /sslmode=disable, require or verify-full/],
  [{ DATABASE_URL: `${ADDRESS}?sslmode=toString` }, /sslmode=disable, require or verify-full/],
  [{ DATABASE_URL: `${ADDRESS}?sslcert=a.crt` }, /sslcert is not understood/],
  [{ DATABASE_URL: `${ADDRESS}?sslmode=disable`, DB_SSL_REQUIRE: 'True' }, /remove one of them/],
  [{ DATABASE_URL: ADDRESS, DB_POOL_SIZE: '1' }, /DB_POOL_SIZE/],
  [{ DB_HOST: 'db' }, /DB_NAME is missing/],
])('%j is refused', (env, sentence) => {
  const message = refusalOf(env)
  expect(message).toMatch(sentence)
  expect(message).not.toContain('cret')
})
