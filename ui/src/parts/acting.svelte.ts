// What a page has done for its user, and what became of it. It knows no page and no address.
import { Problem } from "../api/carrier";
import { client } from "../api/questions";

export class Acting {
  /** What was done last, in a sentence. */
  said = $state("");
  /** Why it was not. */
  problem = $state<Problem | null>(null);

  /** Does it, keeps what it says, and has everything that is shown asked anew. */
  act = async (what: () => Promise<string>) => {
    [this.problem, this.said] = [null, ""];
    try {
      this.said = await what();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
    }
    await client.invalidateQueries({ queryKey: ["ledger"] });
  };
}
