import type { BaseLogger } from 'pino'
import type { Config } from './config.ts'
import { createMetrics } from './http/metrics.ts'
import { createGrantSaves } from './tokens/grant-saves.ts'
import { createIssue } from './tokens/issue.ts'
import { createLocationTokens } from './tokens/location-tokens.ts'
import { createOAuthApi, TOKEN_CALL_TIMEOUT_MS } from './tokens/oauth-api.ts'
import { createRenewal } from './tokens/renewal.ts'
import { openVault } from './tokens/vault-sql.ts'
import { bearer } from './upstream/bearer.ts'
import { pipeline } from './upstream/call.ts'
import { createUpstreamClient } from './upstream/client.ts'
import { createTransport, openPool } from './upstream/transport.ts'
import { version } from './version.ts'

/** Everything that has a lifetime, opened in one place and closed in the reverse order. */
export async function openParts(config: Config, log: BaseLogger, now: () => number) {
  const vault = await openVault(config.DATABASE_URL, config.vaultKeys, { now })
  const pool = openPool(new URL(config.HIGHLEVEL_API_URL).origin)
  const metrics = createMetrics()

  const wire = {
    origin: config.HIGHLEVEL_API_URL,
    apiVersion: config.HIGHLEVEL_API_VERSION,
    userAgent: `records-gateway/${version}`
  }
  const { HIGHLEVEL_CLIENT_ID: clientId, HIGHLEVEL_CLIENT_SECRET: clientSecret } = config
  const redirectUri = `${config.PUBLIC_URL}/oauth/callback`
  const oauth =
    clientId === undefined || clientSecret === undefined
      ? undefined
      : createOAuthApi(createTransport(pool, wire, TOKEN_CALL_TIMEOUT_MS), { clientId, clientSecret, redirectUri, now })

  const grants = createGrantSaves(vault, log)
  const issue = createIssue({ grants, oauth, now })
  const renew = createRenewal({ grants, issue, now, log, count: metrics.countRenewal })
  const tokens = createLocationTokens({ grants, renew, now, log })
  const send = pipeline([bearer(tokens)], createTransport(pool, wire, config.UPSTREAM_TIMEOUT_MS))

  return {
    vault,
    grants,
    oauth,
    tokens,
    metrics,
    upstream: createUpstreamClient(send),

    /** Ends in order: renewals under way, what is unsaved, the wire, the store. */
    async close() {
      await renew.settled()
      await grants.drain()
      await pool.close()
      await vault.close()
    }
  }
}

export type Parts = Awaited<ReturnType<typeof openParts>>
