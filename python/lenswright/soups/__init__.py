"""Soups: which models to average and how much of each, judged by what none was trained on.

`lw.soup` averages (uniform, greedy, learned coefficients), `lw.search_merge` searches the numbers
of any merge recipe. Both end with a recipe that `lw.merge` runs to the model that was judged.
"""
