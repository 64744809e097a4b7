import type { TestApp } from '../harness/app.ts'
import type { Client } from '../harness/client.ts'

export interface Person {
  email: string
  password: string
  client: Client
  userId: number
  /** The confirmation link, opened already unless `isConfirmed` was false. */
  link: { uid: string; token: string }
}

let people = 0

/** Somebody with an address of their own who signed up; the app must run with DEBUG. */
export async function aPerson(
  app: TestApp,
  { isConfirmed = true, password = 'two horses and a stapler' } = {},
): Promise<Person> {
  const email = `person${++people}@example.com`
  const client = app.client()
  const reply = await client.post('/users/register/', {
    email,
    password,
    confirm_password: password,
  })
  const { debug: link } = (await reply.json()) as { debug: { uid: string; token: string } }
  if (isConfirmed) await client.get(`/users/confirm/?uid=${link.uid}&token=${link.token}`)
  return { email, password, client, userId: Number.parseInt(link.uid, 36), link }
}

/** The same, signed in. */
export async function aSignedInPerson(app: TestApp, { remember = false } = {}): Promise<Person> {
  const person = await aPerson(app)
  const { email, password, client } = person
  const reply = await client.post('/users/login/', { email, password, remember })
  if (reply.status !== 200) throw new Error(`login failed: ${await reply.text()}`)
  return person
}

/** A fresh reset link, as it is in the mail. */
export async function aResetLink(
  app: TestApp,
  { email }: { email: string },
): Promise<{ uid: string; token: string }> {
  const reply = await app.client().post('/users/forgot-password/', { email })
  const { debug } = (await reply.json()) as { debug: { uid: string; token: string } }
  return debug
}

export function logIn(app: TestApp, person: Pick<Person, 'email' | 'password'>): Promise<Response> {
  const { email, password } = person
  return app.client().post('/users/login/', { email, password })
}
