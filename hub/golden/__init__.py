"""Golden cases beside the mappings: what comes in, and what has to come out of it, held against what comes out now.

mappings/<system>/cases/NN-name/
    README.md           what the case shows
    in.edi in.xml …     what is sent; in-1.edi, in-2.edi … where it takes several files
    expected/KIND.edi   what whoever reads KIND gets; one file for each kind that the case is about
    expected/findings.txt   what is wrong, a line each; there is none where nothing is wrong
"""
