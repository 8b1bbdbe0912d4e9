import { assertNoArguments, type Command } from './command.ts'

export const rekeyVault: Command = {
  usage: '',
  description: 'seals every grant with the first of VAULT_KEYS; gateways may keep running',
  parse(args) {
    assertNoArguments(args)
    return async ({ vault, config }) => {
      const { resealed, damaged } = await vault.rekeyGrants()
      const key = config.vault.keys[0]?.id ?? ''
      const damagedNote =
        damaged === 0 ? '' : ` ${damaged} could not be opened and were left unchanged: connect them again.`
      return {
        ok: damaged === 0,
        document: { key, resealed, damaged },
        text: `${resealed} grants were sealed with ${key}.${damagedNote}`
      }
    }
  }
}
