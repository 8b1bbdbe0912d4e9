import { type Command, nothing } from './command.ts'

export const rekeyVault: Command = {
  usage: '',
  does: 'seals every grant anew under the first of VAULT_KEYS, while gateways run',
  read(args) {
    nothing(args)
    return async ({ vault, config }) => {
      const { resealed, damaged } = await vault.rekeyGrants()
      const key = config.vault.keys[0]?.id ?? ''
      const rest = damaged === 0 ? '' : ` ${damaged} cannot be opened and stay as they are: connect them again.`
      return {
        ok: damaged === 0,
        document: { key, resealed, damaged },
        text: `${resealed} grants were sealed under ${key}.${rest}`
      }
    }
  }
}
