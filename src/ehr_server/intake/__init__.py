"""The intake: files of resources cut into parts, and each part brought through the write path.

    cut (parts) -> read (lines) -> understand (entries) -> group -> changes.apply -> outcome

A part is data: stretches of files, of two megabytes or so. Whoever has the parts done, by
processes of its own (`processes`) or here (`load`), records which are done; a part that is done
again stores nothing again, since what is there in the same words is left as it is.
"""
