"""The third stage: carry out the steps of a decision. Changes things, and never chooses."""
