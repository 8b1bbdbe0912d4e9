import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { SEED } from './seed.ts'
import { appIdOf, type Settings } from './settings.ts'

export interface WebhookOptions {
  /** Without id and time, as HighLevel documents UNINSTALL: two events of the same location are then identical. */
  undated?: boolean
  /** The age of the event. HighLevel retries a failed delivery for hours. */
  ageMs?: number
  /** Leaves out the company id, as in installs of future locations. */
  withoutCompany?: boolean
}

/** A signed webhook for the test to post. HighLevel posts it again after an answer other than 2xx. */
export interface Delivery {
  body: string
  headers: Record<string, string>
}

/** Creates HighLevel's webhooks about installs. The test posts them. The default location is that of the seed. */
export interface WebhookControls {
  installWebhook(locationId?: string, options?: WebhookOptions): Delivery
  uninstallWebhook(locationId?: string, options?: WebhookOptions): Delivery
  companyUninstallWebhook(options?: WebhookOptions): Delivery
}

export function createWebhooks({ now, clientId }: Settings) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const appId = appIdOf(clientId)

  const deliver = (event: object, { undated = false, ageMs = 0 }: WebhookOptions): Delivery => {
    const dated = { timestamp: new Date(now() - ageMs).toISOString(), webhookId: randomUUID() }
    const body = JSON.stringify({ ...event, appId, ...(!undated && dated) })
    const signature = sign(null, Buffer.from(body), privateKey).toString('base64')
    return { body, headers: { 'content-type': 'application/json', 'x-ghl-signature': signature } }
  }

  return {
    webhookKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
    controls: {
      installWebhook(locationId = SEED.locationId, options = {}) {
        const event = { type: 'INSTALL', installType: 'Location', locationId }
        return deliver(options.withoutCompany ? event : { ...event, companyId: SEED.companyId }, options)
      },
      uninstallWebhook: (locationId = SEED.locationId, options = {}) =>
        deliver({ type: 'UNINSTALL', locationId }, options),
      companyUninstallWebhook: (options = {}) => deliver({ type: 'UNINSTALL', companyId: SEED.companyId }, options)
    } satisfies WebhookControls
  }
}
