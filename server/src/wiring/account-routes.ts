import { adminUserRoutes } from '../accounts/admin-user-routes.ts'
import { createAdminUsers } from '../accounts/admin-users.ts'
import { emailChangeRoute } from '../accounts/email-change-route.ts'
import { createEmailChange } from '../accounts/email-change.ts'
import { ownAccountRoutes } from '../accounts/own-account-routes.ts'
import { createOwnAccount } from '../accounts/own-account.ts'
import { accountRoutes } from '../accounts/routes.ts'
import type { Server } from '../http/server.ts'
import { createOpenIdAccounts } from '../openid/accounts.ts'
import { createOpenIdProvider } from '../openid/provider.ts'
import { OPENID_CALLBACK_PATH, openIdRoutes } from '../openid/routes.ts'
import { createOpenIdSignIn } from '../openid/sign-in.ts'
import { ownSessionRoutes } from '../sessions/own-session-routes.ts'
import { sessionRoutes } from '../sessions/routes.ts'
import { twoFactorRoutes } from '../two-factor/routes.ts'
import type { Foundation } from './foundation.ts'
import type { Services } from './services.ts'

/** Who people are, and how they come in. */
export function addAccountRoutes(server: Server, foundation: Foundation, services: Services): void {
  const { settings, backendOrigin, log, clock, keys, db } = foundation
  const { audit, passwords, sessions, throttle, twoFactor } = services
  const { frontendUrl, links, ofAccounts, accounts } = services
  accountRoutes(server, {
    accounts,
    links,
    frontendUrl,
    isDebug: settings.debug,
    rateLimits: settings.rateLimits,
  })
  sessionRoutes(server, {
    db,
    clock,
    audit,
    passwords,
    sessions,
    secondFactor: twoFactor,
    throttle,
    cookies: settings.cookies,
    loginRate: settings.rateLimits.login,
  })
  twoFactorRoutes(server, { twoFactor, loginRate: settings.rateLimits.login })
  const emailChange = createEmailChange({ ...ofAccounts, throttle })
  ownAccountRoutes(server, {
    ownAccount: createOwnAccount({ ...ofAccounts, throttle, secondFactor: twoFactor }),
    emailChange,
    cookies: settings.cookies,
    loginRate: settings.rateLimits.login,
    mailRate: settings.rateLimits.forgot,
  })
  emailChangeRoute(server, { emailChange, links, frontendUrl })
  ownSessionRoutes(server, { db, clock, audit, sessions, cookies: settings.cookies })
  adminUserRoutes(server, { adminUsers: createAdminUsers(ofAccounts), backendOrigin })
  if (settings.openId) {
    openIdRoutes(server, {
      signIn: createOpenIdSignIn({
        db,
        clock,
        keys,
        audit,
        sessions,
        secondFactor: twoFactor,
        provider: createOpenIdProvider({
          settings: settings.openId,
          redirectUri: `${backendOrigin}${OPENID_CALLBACK_PATH}`,
          log,
        }),
        accounts: createOpenIdAccounts({
          db,
          clock,
          audit,
          passwords,
          settings: settings.openId,
        }),
        trustsTwoFactor: settings.openId.trustsTwoFactor,
      }),
      audit,
      cookies: settings.cookies,
      loginRate: settings.rateLimits.login,
      frontendUrl,
      providerName: settings.openId.name,
    })
  }
}
