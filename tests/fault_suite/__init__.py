"""The operator under faults: killed, cut off, refused and slowed down, while a machine checks the promises."""
