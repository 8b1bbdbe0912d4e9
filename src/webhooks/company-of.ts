import { setTimeout as sleep } from 'node:timers/promises'
import type { BaseLogger } from 'pino'
import type { OAuthClient } from '../grants/oauth/oauth-client.ts'
import { isUsable } from '../grants/usable.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { Problem } from '../problems/problem.ts'

/** A delivery is answered before HighLevel gives up on it; it comes again then. */
const ANSWER_WITHIN_MS = 8_000

interface Deps {
  vault: Pick<Vault, 'findGrant' | 'listCompanies' | 'loadGrant'>
  /** Absent where the gateway has no client credentials. */
  oauth: Pick<OAuthClient, 'installedLocations'> | undefined
  now: () => number
  log: BaseLogger
}

const unknown = () =>
  new Problem('upstream-unavailable', 'HighLevel cannot say now which company the location belongs to', {
    retryAfterSeconds: 60
  })

/** Whose location it is that was installed, where HighLevel does not say it, as of installs of future locations. */
export function createCompanyOf({ vault, oauth, now, log }: Deps) {
  /** `undefined`: the company cannot be asked now. */
  const has = async (companyId: string, locationId: string): Promise<boolean | undefined> => {
    try {
      const company = await vault.loadGrant(`company:${companyId}`)
      if (oauth === undefined || company === undefined || !isUsable(company, now())) return undefined
      return (await oauth.installedLocations(company.tokens.accessToken, companyId)).includes(locationId)
    } catch (err) {
      log.warn({ companyId, err }, 'the locations of a company cannot be listed')
      return undefined
    }
  }

  const ask = async (companyIds: readonly string[], locationId: string): Promise<string | undefined> => {
    const answers = await Promise.all(companyIds.map((id) => has(id, locationId)))
    const index = answers.indexOf(true)
    if (index === -1 && answers.includes(undefined)) throw unknown()
    return companyIds[index]
  }

  /**
   * The only company that is connected, `isSure` false: a mint will tell. Of several the one that lists the location.
   * `undefined` where there is none, or where the location has tokens. Rejects with a Problem where HighLevel cannot be
   * asked now.
   */
  return async (locationId: string): Promise<{ companyId: string; isSure: boolean } | undefined> => {
    const held = await vault.findGrant(`location:${locationId}`)
    if (held !== undefined && held.state !== 'uninstalled' && held.state !== 'reconnect-required') return undefined
    const [first, ...others] = await vault.listCompanies()
    if (first === undefined) return undefined
    if (others.length === 0) return { companyId: first, isSure: false }
    const tooLate = sleep(ANSWER_WITHIN_MS, undefined, { ref: false }).then(() => Promise.reject(unknown()))
    const companyId = await Promise.race([ask([first, ...others], locationId), tooLate])
    return companyId === undefined ? undefined : { companyId, isSure: true }
  }
}

export type CompanyOf = ReturnType<typeof createCompanyOf>
