import type { BaseLogger } from 'pino'
import type { Config } from './config.ts'
import { createMetrics } from './http/metrics.ts'
import { within } from './shared/within.ts'
import { createOAuthApi, TOKEN_CALL_TIMEOUT_MS } from './tokens/oauth-api.ts'
import { openGrants } from './tokens/open-grants.ts'
import { openVault } from './tokens/vault-sql.ts'
import { bearer } from './upstream/bearer.ts'
import { pipeline } from './upstream/call.ts'
import { createUpstreamClient } from './upstream/client.ts'
import { createTransport, openPool } from './upstream/transport.ts'
import { version } from './version.ts'

/** What a store that answers takes to be told how things ended. */
const LAST_WORDS_MS = 500

/** Everything that has a lifetime, opened in one place and closed in the reverse order. */
export async function openParts(config: Config, log: BaseLogger, now: () => number) {
  const vault = await openVault(config.DATABASE_URL, config.vaultKeys, { now, log })
  const pool = openPool(new URL(config.HIGHLEVEL_API_URL).origin)
  const metrics = createMetrics({ survey: vault.surveyGrants, now })

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

  const grants = openGrants({ vault, oauth, now, log, count: metrics.countRenewal })
  const send = pipeline([bearer(grants.tokens)], createTransport(pool, wire, config.UPSTREAM_TIMEOUT_MS))

  return {
    vault,
    saves: grants.saves,
    follow: grants.follow,
    tokens: grants.tokens,
    oauth,
    metrics,
    upstream: createUpstreamClient(send),

    /** The end has begun: what need not be begun is not. Calls go on. */
    drain: grants.stop,

    /**
     * Ends in order: renewals under way, for which HighLevel has `withinMs` left, the wire, what is unsaved, the store.
     * Only what is unsaved may take longer: a pair of tokens that is nowhere else is not left behind.
     */
    async close(withinMs: number) {
      const endsAt = performance.now() + withinMs
      const left = () => Math.max(endsAt - performance.now(), LAST_WORDS_MS)
      await grants.settle(withinMs)
      await pool.destroy()
      // What was cut off is noted with its grant.
      await grants.settle(left())
      await grants.drain()
      await within(left(), vault.close)
    }
  }
}

export type Parts = Awaited<ReturnType<typeof openParts>>
